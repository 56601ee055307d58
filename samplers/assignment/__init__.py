"""Which process samples what: the images that are missing, which shard has them, and whom it helps."""
