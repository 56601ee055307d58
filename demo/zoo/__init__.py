"""The zoo: tiny generators, adapters and irregular repositories, as examples of the Hub's diffusers repositories.

Each module is a family of repositories, with a function `repositories()`. `catalogue` lists them all, `building` puts
them on an embedded Hub. Weights are random numbers from fixed seeds; trained weights are stored beside the scripts that
trained them. So two builds on one kind of machine give the same bytes, the same commit ids and the same images.
"""
