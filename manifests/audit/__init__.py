"""The shortcut audit: whether something else than the traces of generation tells real from generated images.

A detector learns what is easiest. `facts` lists what is known of a file without its pixels, `pixels` simple statistics
of those; `trees` judges each image by each of them, with generators and real images held out, `scores` says how right
that is. `matching` chooses a subset in which files are alike. `audit` does all of it after the manifest was built, and
`record` is what it found: beside the manifest, in the report, on the dataset card, and before publishing.
"""
