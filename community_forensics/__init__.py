"""The Python interface of community-forensics.

    import community_forensics as cf

    cf.crawl("workspace", cf.CrawlOptions(limit=50))
    cf.caption("workspace", {"photos": "/data/photos"})
    cf.sample("workspace", cf.SampleOptions(images=4))
    cf.build_manifest("workspace")
    rows = cf.read_manifest("workspace")

Each stage's function does what its command does (`crawl` is `cf-crawl`, `remake` is `cf-sample --remake`, `restore` is
`cf-build-manifest --restore`, `train_detector` is `cf-detect train`); each options class holds the defaults of both. A
workspace is given as a path or as a `Workspace`. Everything raises `CommunityForensicsError` with a message of one
line: `UsageError` where an argument or the workspace has to be corrected, `HubError` where the Hub failed.
"""

from importlib.metadata import version

from captioning.options import CaptionOptions
from community_forensics.detectors import (
    attribute,
    audit,
    detector_report,
    evaluate_detector,
    predict,
    study,
    train_detector,
)
from community_forensics.reading import open_image, read_manifest
from community_forensics.stages import (
    add,
    build_manifest,
    caption,
    crawl,
    export,
    fetch,
    forecast,
    forecast_remote,
    import_images,
    publish,
    remake,
    restore,
    sample,
    sample_remote,
    status,
)
from community_forensics.upkeep import merge, remove
from crawler.options import AddOptions, CrawlOptions
from detectors.options import (
    AttributeOptions,
    AuditOptions,
    EvaluateOptions,
    ReportOptions,
    StudyOptions,
    TrainOptions,
)
from manifests.options import BuildOptions, ExportOptions, PublishOptions
from samplers.fetch.options import FetchOptions
from samplers.importing.options import ImportOptions
from samplers.options import RemakeOptions, SampleOptions
from samplers.provider.options import RemoteOptions
from upkeep.options import MergeOptions, RemoveOptions
from workspace.errors import CommunityForensicsError, HubError, UsageError
from workspace.layout import Workspace

__version__ = version("community-forensics")

__all__ = [
    "AddOptions",
    "AttributeOptions",
    "AuditOptions",
    "BuildOptions",
    "CaptionOptions",
    "CommunityForensicsError",
    "CrawlOptions",
    "EvaluateOptions",
    "ExportOptions",
    "FetchOptions",
    "HubError",
    "ImportOptions",
    "MergeOptions",
    "PublishOptions",
    "RemakeOptions",
    "RemoteOptions",
    "RemoveOptions",
    "ReportOptions",
    "SampleOptions",
    "StudyOptions",
    "TrainOptions",
    "UsageError",
    "Workspace",
    "__version__",
    "add",
    "attribute",
    "audit",
    "build_manifest",
    "caption",
    "crawl",
    "detector_report",
    "evaluate_detector",
    "export",
    "fetch",
    "forecast",
    "forecast_remote",
    "import_images",
    "merge",
    "open_image",
    "predict",
    "publish",
    "read_manifest",
    "remake",
    "remove",
    "restore",
    "sample",
    "sample_remote",
    "status",
    "study",
    "train_detector",
]
