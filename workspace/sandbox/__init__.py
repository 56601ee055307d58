"""The sandbox: what the operating system refuses a process that opens strangers' files, whatever those make it try.

The sampler's child and the processes of captioning enter it. `isolation` enters the sandbox, once and permanently; each
of the other modules is one of its layers.
"""
