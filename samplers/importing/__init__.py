"""Importing images that others published: `cf-import`.

`tree` opens what they published, `prompts` finds what each image was asked for, `described` is what the user says of
the generators, `selection` which images are whose; `stage` stores them (`samplers.foreign`), and `account` says what
became of each file.
"""
