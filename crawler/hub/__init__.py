"""Access to the Hub: the client, the list of models, a repository's files, and models that a file names.

Only this folder sends requests to the Hub. It returns what a repository contains; `crawler/card/` and
`crawler/pipelines/` interpret it.
"""
