"""How a run stands: what a shard tells while it works (`journal`), and `cf-status`, which reads it.

It reads files and nothing else, and may look on while shards are at work.
"""
