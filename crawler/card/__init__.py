"""The model card: front matter, Markdown, code snippets, settings in text, trigger words, licences.

Everything here reads text of authors who are not trusted. It runs no code, does not raise for bad input, and sends no
request.
"""
