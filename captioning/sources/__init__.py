"""Where real images come from: a registry of known data sets, and a reader for each way they lie on a disk.

`source` says what a source and a collection are, `registry` which data sets are known. The readers: `folder` (any
folder tree), `layout` (a known data set's tree), `coco` (COCO's captions JSON), `webdataset` (tar archives), `parquet`,
`hub` (a data set of the Hub); `containers` finds out which.
"""
