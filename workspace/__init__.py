"""The ground floor: the folder every stage reads from and writes to.

What all rooms share and nothing else: where a file lies (`layout`), how it gets there whole (`atomic`,
`records`), whose turn it is (`shard`), which choices must not drift (`recipe`), what a reader is told when
something is wrong (`errors`) and while it goes well (`progress`). It knows no stage.
"""
