"""The crawler: which generators exist. The Hub -> `catalog.parquet`.

It ranks the Hub's `diffusers` repositories by downloads, inspects each one without downloading weights, and records
what it is, its licence, its hyperparameters, and whether it can be sampled.
"""
