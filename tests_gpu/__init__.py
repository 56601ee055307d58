"""Tests on a real GPU: `make test-gpu`, on a machine with one, in at most eight minutes, without a network.

All weights are made on the spot: the demo's tiny generators, a random pipeline of the size of Stable Diffusion 1.5, and
one with the widths of Flux and fewer layers. Where no GPU is at hand the run says so and ends with exit code 77:
nothing passed. At the end it prints the figures as a table for docs/performance.md.

`TEST_GPU_DEVICE=cpu` tries the tests themselves on a CPU, with small sizes: what only a GPU can show is then not
asserted, and the run says so. Not part of `make test`.
"""
