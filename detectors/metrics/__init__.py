"""Functions of labels and logits, which know no detector: metrics, thresholds, calibration, and their means over
generators with intervals.
"""
