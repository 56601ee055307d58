"""Exporting: the manifest's images as a folder tree that the public detectors' code reads.

`trees` are the layouts, `folder_names` the names of the generators' folders, `planning` says which image goes where,
`destination` is the folder and what is put into it, `variants` are images encoded anew, by `encoders`. `export` does it
all and writes the `side_table`.
"""
