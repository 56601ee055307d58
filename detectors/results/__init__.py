"""What detectors said, and what follows: a score for each image, the table of the metrics, and the shortcut audit.

`evaluation` writes `scores`, by image; the `table` is a function of them, as is everything that is reported.
"""
