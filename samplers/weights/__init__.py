"""The weight store: generators' files on this node, each content once, downloaded ahead and removed after use.

It has the token and the network, is shared by all supervisors of a node, and never opens a weight file.
"""
