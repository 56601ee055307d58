"""What is claimed about speed, and how to measure it again: `make bench`.

Every claim is a ratio of two ways to do the same thing, measured in turn within one run, so that the machine
and its neighbours cancel out. Absolute times are shown for orientation and mean nothing on another machine.
"""
