"""Restoring: a downloaded public edition, completed from the reader's own copies of the real data sets.

`download` is the folder, verified against its checksums; `search` finds real images by their sha256; `extraction`
copies images out of archives that would be read again and again; `restore` makes the rows of what was found and packs
them as for publishing.
"""
