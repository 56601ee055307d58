"""Sample generators of your own choice, and print how each of them ended.

python own_generators.py WORKSPACE PHOTOS ORG/NAME [ORG/NAME ...]
"""

import sys
from pathlib import Path

import community_forensics as cf

root, photos, *names = sys.argv[1:]
workspace = cf.Workspace.open(Path(root))
listed = workspace.root / "generators.csv"
listed.write_text("\n".join(["model_name", *names]) + "\n")

crawled = cf.crawl(workspace, cf.CrawlOptions(from_file=listed))
for entry in crawled.entries:
    if entry.status == "incompatible":
        print(f"{entry.model_name}: cannot be sampled, {entry.reason}: {entry.reason_detail}")

cf.caption(workspace, {"photos": photos})
report = cf.sample(workspace, cf.SampleOptions(images=4))
for outcome in report.outcomes:
    print(f"{outcome.model_name}: {outcome.end}, {outcome.kept} images")
