"""The child: the process that has the weights, and neither token nor network.

It is forked from a server that imported the heavy libraries without any token (`preload`), walls itself in
(`sandbox`), loads one generator after the other (`loading`, `adapters`), asks it for batches (`calling`), judges every
image (`gate`, `safety`) and writes what passes (`writing`). `loop` is its life.
"""
