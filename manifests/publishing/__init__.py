"""Publishing: the manifest's images on the Hub.

`planning` divides them into shards, `packing` writes a shard in one of the `layouts`, `publish` sends them to the
dataset's `repository` with the card (`card`, whose numbers are counted by `card_numbers`) and the `checksums` of all
files. `published` says which rows are published, and in which split.
"""
