"""The zoo: tiny generators, adapters and oddities that stand for what the Hub's diffusers repositories hold.

One module a family of repositories; each offers `repositories()`. `catalogue` gathers them, `building` puts them on an
embedded Hub. Weights are random numbers from fixed seeds (the trained ones live beside the scripts that trained them),
so that two builds on one kind of machine give the same bytes, hence the same commit ids, hence the same images.
"""
