"""The Python interface of community-forensics.

    import community_forensics as cf

    cf.crawl("workspace", cf.CrawlOptions(limit=50))
    cf.caption("workspace", {"photos": "/data/photos"})
    cf.sample("workspace", cf.SampleOptions(images=4))
    cf.build_manifest("workspace")
    rows = cf.read_manifest("workspace")

Each stage's function does what its command does (`crawl` is `cf-crawl`, `remake` is `cf-sample --remake`, `restore` is
`cf-build-manifest --restore`); each options class holds the defaults of both. A workspace is given as a path or as a
`Workspace`. Everything raises `CommunityForensicsError` with a message of one line: `UsageError` where an argument or
the workspace has to be corrected, `HubError` where the Hub failed.
"""

from importlib.metadata import version

from captioning.options import CaptionOptions
from community_forensics.reading import open_image, read_manifest
from community_forensics.stages import (
    build_manifest,
    caption,
    crawl,
    export,
    forecast,
    publish,
    remake,
    restore,
    sample,
    status,
)
from community_forensics.upkeep import merge, remove
from crawler.options import CrawlOptions
from manifests.options import BuildOptions, ExportOptions, PublishOptions
from samplers.options import RemakeOptions, SampleOptions
from upkeep.options import MergeOptions, RemoveOptions
from workspace.errors import CommunityForensicsError, HubError, UsageError
from workspace.layout import Workspace

__version__ = version("community-forensics")

__all__ = [
    "BuildOptions",
    "CaptionOptions",
    "CommunityForensicsError",
    "CrawlOptions",
    "ExportOptions",
    "HubError",
    "MergeOptions",
    "PublishOptions",
    "RemakeOptions",
    "RemoveOptions",
    "SampleOptions",
    "UsageError",
    "Workspace",
    "__version__",
    "build_manifest",
    "caption",
    "crawl",
    "export",
    "forecast",
    "merge",
    "open_image",
    "publish",
    "read_manifest",
    "remake",
    "remove",
    "restore",
    "sample",
    "status",
]
