"""Captioning: what to ask the generators. Real images -> `prompts/`.

Each prompt is the caption of one real image, the data set's own where there is one, BLIP's otherwise, and
points back at the exact file it came from.
"""
