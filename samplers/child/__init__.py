"""The child: the process that has the weights, and neither token nor network.

It is forked from a server that imported the heavy libraries without any token (`preload`), walls itself in
(`sandbox`), loads one generator after the other (`loading`, `adapters`) with what the last one leaves it
(`components`), asks it for batches (`calling`, `decoding`, `memory`), judges every image (`gate`, `safety`) and writes
what passes while the next batch is sampled (`async_writer`, `writing`). `loop` is its life.
"""
