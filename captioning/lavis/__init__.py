"""The other back end: BLIP by `salesforce-lavis`, the code of BLIP's authors.

LAVIS needs a transformers that cannot live beside ours, so it has an environment of its own (`make lavis-env`) and
runs there as a child process (`child`, which imports nothing of this project), spoken to in lines of JSON (`backend`).
"""
