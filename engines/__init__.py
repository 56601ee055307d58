"""Engines: who does which part of a stage's work, and when.

Claims keep processes that share a workspace from doing the same work; an engine runs a function of a stage in processes
on this machine or on a cluster. This room knows no stage: it is told names, estimated seconds and functions.
"""
