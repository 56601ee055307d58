"""The model card: front matter, Markdown, code snippets, settings in text, licences.

Everything here reads text that strangers wrote. It runs nothing, never raises for bad input, and asks nobody.
"""
