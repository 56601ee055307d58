"""Generators of the study that no list of the Hub has: what they are, one TOML file each (`manual`, `commercial`,
`evaluation`), and the calls of the code bases that their authors published (`adapters`).

Nothing here is imported: `cf-add` reads the files, and the sampling process runs the adapters, each as a file of its
own beside the weights.
"""
