"""The networks, one a file. Each is a backbone, images to numbers, and a head, numbers to a logit.

torch and transformers are imported when a network is built, so that the command line starts without them.
"""
