"""The second back end: BLIP by `salesforce-lavis`, the code of BLIP's authors.

LAVIS needs an older version of transformers than this project, so it has an environment of its own (`make lavis-env`).
It runs there as a child process (`child`, which imports nothing of this project), which gets and answers lines of JSON
(`backend`).
"""
