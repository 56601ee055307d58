"""Manifests: tying it all together. Catalogue, prompts and samples -> the manifest, the report, the published
dataset.

`building` joins the three records (`joining`), proves that what they say is so (`checks/`), and only then writes the
manifest, the tables of generators beside it and the report (`report/`). `publishing/` packs the manifest's images into
Parquet shards and puts them on the Hub with a card. `restoring/` completes somebody's download of a public edition.
"""
