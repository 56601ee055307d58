"""Generators on this machine: diffusers folders and single-file checkpoints that the user's file names.

What a folder or a file contains is inspected by the same code as a repository of the Hub (`crawler/row_builder.py`);
this reads the files, hashes them, and adds what the user says: licence, page, settings.
"""
