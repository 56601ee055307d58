"""The tables beside the manifest: generators, rejected samples, and the real images that a public edition withholds."""
