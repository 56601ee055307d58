"""The crawler: which generators exist. The Hub -> `catalog.parquet`.

It ranks the Hub's `diffusers` repositories by downloads, looks into each of them without downloading a weight,
and writes down what it is, under which licence, how it wants to be sampled, and whether it can be.
"""
