"""Makes images again that were sampled before, and says whether they are equal.

`naming` reads what the user names, `tables` reads tables of rows, `sampled_rows` finds rows of the workspace, `sources`
finds what a row was made from, `comparison` says where two rows differ, `results` writes the folder, and `remake` does
all of it, with the plan, the weight store, the sampling process and the checks that sampling has.
"""
