"""Asking the Hub: the client, the list of models, a repository's files, and models that a file names.

Only this folder talks to the Hub. What a repository says is returned as it is and judged elsewhere (`crawler/card/`,
`crawler/pipelines/`).
"""
