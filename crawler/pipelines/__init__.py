"""diffusers: which pipeline classes it has, what they need and return, which files they load.

The installed packages are read as source code and never imported, so a crawl loads neither torch nor diffusers.
"""
