"""Where real images come from: a registry of known data sets, and a reader for each way they lie on a disk.

`source` says what a source and a collection are, `registry` which data sets are known, and each reader turns one layout
into a collection: `folder` (any folder tree), `coco` (COCO's captions JSON).
"""
