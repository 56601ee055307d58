"""What is done with the pixels of an image before a network sees them, on OpenCV and Pillow.

`schemes` augment training images by a random choice of `operations`: the study's, and those of the detectors that it is
compared with. `transforms` are for robustness, `inputs` what a network is given. All random numbers come from a
generator that the caller seeds, so an image that was changed depends on nothing else.
"""
