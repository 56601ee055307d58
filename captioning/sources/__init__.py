"""Where real images come from: a registry of known data sets, and a reader for each way they are stored.

`source` defines source and collection, `registry` lists the known data sets. The readers: `folder` (any folder tree),
`layout` (a known data set's tree), `coco` (COCO's captions JSON), `webdataset` (tar archives), `parquet`, `hub_dataset`
(a data set of the Hub). `containers` chooses the reader for a folder of an unknown data set.
"""
