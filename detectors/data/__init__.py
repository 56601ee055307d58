"""The images that detectors are trained and judged on: where they are, what is known of them, how they are decoded.

`sources` reads datasets of several layouts into one `index`, a row an image, whose number is the image's address
everywhere; `images` decodes them in processes with limits, `file_facts` is what the files tell without a pixel.
"""
