"""Processes that open strangers' images and containers for this one: without token, network and files, within limits.

`process` starts one and asks it; `serving` is what runs in it; `channel` carries messages between the two.
"""
