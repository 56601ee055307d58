"""The weight store: generators' files on this node, each content once, fetched ahead and gone when they have served.

It has the token and the network, is one for all supervisors of a node, and never opens a file that it holds.
"""
