"""Hold generators out for evaluation, and show what would be published of an edition that may be passed on.

python evaluation_set.py WORKSPACE ORG/NAME HELD_OUT [HELD_OUT ...]     # such as architecture=PixDiff
"""

import sys

import community_forensics as cf

workspace, name, *held_out = sys.argv[1:]
cf.build_manifest(workspace, cf.BuildOptions(holdout=tuple(held_out), edition="public"))

rows = cf.read_manifest(workspace, ["label", "split", "model_name", "architecture"])
print(rows.groupby(["split", "label"], dropna=False).size())
print("evaluation:", *sorted(rows.loc[(rows["split"] == "test") & (rows["label"] == 1), "model_name"].unique()))

planned = cf.publish(workspace, name, cf.PublishOptions(dry_run=True))
print(*planned.lines(), sep="\n")
