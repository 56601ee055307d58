"""Studies: many runs that differ in one thing, and the curve of their scores. Each is a figure of the study."""
