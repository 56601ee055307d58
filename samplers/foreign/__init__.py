"""Images that others made: files that somebody published, and what the provider of a remote generator delivers.

Their bytes are kept as they are. Each is opened in a process behind the walls (`examiner`), which decodes it, reads
what it says of itself, and asks the safety checker; what passes is stored by the same store, in the same batches and
parts, as images that are sampled here (`storing`).
"""
