"""Sampling itself: the child process of a device, one generator after the other, and the processes of a node."""
