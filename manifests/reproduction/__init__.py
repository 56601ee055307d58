"""A dataset that proves itself: random rows of the manifest are made again before it counts (`--verify reproduce=50`).

`check` chooses the rows and has them made, `record` is what was found, which the report and the dataset card show.
"""
