"""Sampling: asking the generators. Catalogue x prompts -> `images/` and `samples/`.

A supervisor, with token and network, fetches each generator's files and never opens a weight; its child,
without either, loads them, samples, has every image checked, and writes PNGs and rows.
"""
