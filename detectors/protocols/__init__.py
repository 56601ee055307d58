"""Who trains, who validates and who is tested: the folds of an index, and what must not be in two of their parts.

`folds` makes them from the `plans` of the protocols; generators are kept together by kin (`generator_groups`), images
by what is in them (`contents`). `leaks` looks for what is in two parts, and shares no code with the others.
"""
