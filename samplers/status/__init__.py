"""The progress of a run: what a shard logs while it works (`run_log`), and `cf-status`, which reads it.

`cf-status` reads files and nothing else, also while shards are at work, and shows them as tables (`display`), as JSON
(`json_form`), or as a page (`live`).
"""
