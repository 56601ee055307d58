"""Manifests: tying it all together. Catalogue, prompts and samples -> the manifest, the report, the published
dataset."""
