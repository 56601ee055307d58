"""Training: from the images of a fold to the files of a run.

`draws` says which image is at which place of which batch, `preparing` decodes and augments it in processes with limits,
`loop` trains a network with accelerate, `checkpoints` keeps its state, and `stage` does all of it for one run.
"""
