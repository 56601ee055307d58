"""A mirror: a Hub on this disk that asks another one for what it does not have, keeps it, and serves it without that
one.

Its folder is that of any Hub here, so `cf-hub serve` without `--mirror`, and a copy of it elsewhere, serve the same.
"""
