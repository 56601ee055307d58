"""Publishing: the manifest's images on the Hub.

`planning` divides them into shards, `packing` writes a shard in one of the `layouts`, `publish` sends them through the
repository on the Hub (`hub`) with the card (`card`, whose numbers are `tally`'s) and the sums of it all (`sums`).
"""
