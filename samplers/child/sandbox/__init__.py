"""The sandbox of the child: what the operating system refuses it, whatever a generator's files make it try.

`isolation` enters the sandbox, once and permanently; each of the other modules is one of its layers.
"""
