"""What `import community_forensics` offers is a promise: exactly these names, documented, and nothing heavy loaded."""

import inspect
import subprocess
import sys
from importlib.metadata import version

import community_forensics as cf

NAMES = {
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
}
HEAVY = ("torch", "diffusers", "transformers", "huggingface_hub", "pandas", "duckdb", "pyarrow")


def test_the_exported_names_are_these() -> None:
    assert set(cf.__all__) == NAMES
    assert cf.__all__ == sorted(cf.__all__)
    assert all(hasattr(cf, name) for name in NAMES)


def test_the_version_is_the_installed_one() -> None:
    assert cf.__version__ == version("community-forensics")


def test_every_name_is_documented_and_every_function_says_what_it_raises_and_shows_an_example() -> None:
    for name in NAMES - {"__version__"}:
        documentation = inspect.getdoc(getattr(cf, name))
        assert documentation, name
        if inspect.isfunction(getattr(cf, name)):
            assert "Raises `" in documentation, name
            assert ">>> import community_forensics as cf" in documentation, name


def test_importing_it_loads_nothing_heavy() -> None:
    code = "import sys, community_forensics; print(*sorted(set(sys.modules) & set(sys.argv[1:])))"
    loaded = subprocess.run([sys.executable, "-c", code, *HEAVY], capture_output=True, text=True, check=True).stdout
    assert loaded.split() == []
