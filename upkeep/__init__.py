"""Upkeep of a whole workspace: taking something out of it (`cf-remove`), and making one of several (`cf-merge`).

It is no stage: it changes the files of all of them, at times when none is at work. It knows their records, and calls
nothing of theirs.
"""
