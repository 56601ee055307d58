"""Publishing: the manifest's images on the Hub.

`planning` divides them into shards, `packing` writes a shard in one of the `layouts`, `publish` compares them with what
the dataset's `repository` has (`dataset_state`) and sends the others (`upload`), with the card (`card`, whose numbers
are counted by `card_numbers`; `owners_card` keeps what people wrote in it) and the `checksums` of all files;
`versions` gives each version its tag, with a line in the `changelog`; `squashing` removes former versions from its
history. `preconditions` are looked at before anything is sent. `published` says which rows are published, and in which
split; `result` what was done.
"""
