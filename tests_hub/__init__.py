"""Questions to the real Hub: `make test-hub`, on a machine with internet.

What the embedded Hub claims, and what the crawler relies on, asked where it is true or not. HF_ENDPOINT leads it to
another Hub, such as the embedded one. Not part of `make test`, which reaches nothing but this machine.
"""
