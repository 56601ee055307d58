"""Whether the dataset is what it is for: detectors trained on it and judged by generators that they never saw.

`data` reads datasets of several layouts into one index, a row an image; `protocols` says who trains and who is tested;
`models` are the detectors and `training` trains them; `results` keeps a score for each image, and `metrics` are
functions of these scores. What file facts tell by themselves is `results.auditing` and the model `shortcut`. It reads
what the stages made and calls none of them.
"""
