"""Every pipeline class of the installed diffusers that makes an image from words, a class or nothing: sampled through
our own code from tiny weights, or listed with the reason why not.

A module of builders a family, each with its table `KINDS`; `checks` says what must hold of a class. The test files only
assign_shards the families, so that they run beside each other.
"""
