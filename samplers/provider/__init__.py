"""Images of generators that a provider samples: a commercial model behind an interface that is paid for by the image.

What is requested follows the same plan as everywhere. What was requested and what came is in a ledger, on the disk
before and after each request, so that no image is paid for twice. Keys are in the environment of this process only.
"""
