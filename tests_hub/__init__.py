"""Tests against the real Hub: `make test-hub`, on a machine with internet.

They check what the embedded Hub imitates and what the crawler relies on. HF_ENDPOINT names another Hub, such as the
embedded one. Not part of `make test`, which connects to this machine only.
"""
