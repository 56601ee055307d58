"""Make a dataset: all five stages on one workspace. Start it again after an interruption, and it continues.

python make_dataset.py WORKSPACE PHOTOS ORG/NAME
"""

import sys

import community_forensics as cf

workspace, photos, name = sys.argv[1:]
cf.crawl(workspace, cf.CrawlOptions(limit=50))
cf.caption(workspace, {"photos": photos}, cf.CaptionOptions(limit=100))
cf.sample(workspace, cf.SampleOptions(images=4))
cf.build_manifest(workspace)
cf.publish(workspace, name)
