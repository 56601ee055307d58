"""Captioning: real images -> `prompts/`.

Each prompt is a caption of one real image: the data set's own if it has one, otherwise one that BLIP generates. It
names the file it describes, and the file's sha256.
"""
