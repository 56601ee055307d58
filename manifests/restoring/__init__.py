"""Restoring: somebody's download of a public edition, completed by their own copies of the real data sets.

`download` is the folder, compared with its sums; `finding` looks for real images by their sha256; `gathering` copies
out what lies scattered in archives; `restore` gives what was found its rows and packs them as for publishing.
"""
