"""Where images for detectors come from: workspaces, published datasets, folder trees and lists of files.

`choice` finds out which of them a text such as `ORG/NAME@REVISION` or `/data/GenImage` names; `source` says what each
of them gives. What strangers made is read in processes with limits: shards in `shard_process`, headers of image files
in `file_process`.
"""
