"""The walls around the child: what the system refuses to it, whatever a generator makes it try.

`sandbox` puts them up, once and for good; each of the others is one of them.
"""
