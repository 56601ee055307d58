"""The tables beside the manifest: generators, rejected tries, and real images that a public edition leaves out."""
