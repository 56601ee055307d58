"""Workspaces on an object store: `--workspace s3://BUCKET/PREFIX`.

The stages work in a folder, the replica, that one process has to itself on a disk of its node. Here is what stands
between that folder and the bucket.

bucket      the requests: objects are made and replaced on a condition only, so nobody loses what another one wrote
leases      who does what, as objects with a limited life: what process folders and their locks are in a folder
hollow      a Parquet file of which only the columns without images are here
replica     brings what a stage reads, and sends what it made
workspace   the workspace whose folder is a replica
"""
