"""The claims about speed, and how to measure them: `make bench`.

Every claim is the ratio of two ways to do the same thing, measured in turn within one run, so that the speed and the
load of the machine cancel out. Absolute times are for orientation; they differ on another machine.
"""
