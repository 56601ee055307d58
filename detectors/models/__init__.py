"""The detectors: how each is called and set (`registry`), how it is loaded (`detector`), what it says of images.

A detector is one network (`network_detector`, `networks`), a head on the features of a frozen backbone (`heads`,
`backbones`, `features`), or boosted trees on facts of files (`shortcut`).
"""
