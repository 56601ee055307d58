"""The examples in the docstrings run as written, one after the other in one workspace, against a real Hub."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo import photographs
from localhub.process import HubProcess
from tests.small_hub import environment_of, small_hub
from workspace.layout import Workspace

# Runs the examples of the functions named on the command line, in this order, and fails where one differs.
RUN_EXAMPLES = """
import doctest, sys
import community_forensics as cf
finder, runner = doctest.DocTestFinder(recurse=False), doctest.DocTestRunner()
for name in sys.argv[1:]:
    tests = [test for test in finder.find(getattr(cf, name), name, globs={}) if test.examples]
    assert tests, f"{name} has no example"
    for test in tests:
        runner.run(test)
sys.exit(runner.summarize().failed > 0)
"""

# What somebody does who restores: the dataset is downloaded with the Hub's own client.
DOWNLOAD = """
import sys
from huggingface_hub import snapshot_download
import community_forensics as cf
cf.publish("workspace", "my-org/my-dataset", cf.PublishOptions(endpoint=sys.argv[1], token="hf_any"))
snapshot_download("my-org/my-dataset", repo_type="dataset", local_dir="download")
"""

# What the project's page shows: no `if __name__ == "__main__"`, one import.
SCRIPT = """
import community_forensics as cf

workspace = cf.Workspace.open("workspace")
cf.crawl(workspace, cf.CrawlOptions(limit=10))
cf.caption(workspace, {"photos": "photos"})
report = cf.sample(workspace, cf.SampleOptions(images=2))
print(*sorted(outcome.status for outcome in report.outcomes))
built = cf.build_manifest(workspace)
rows = cf.read_manifest(workspace, ["path", "width"])
print(built.rows == len(rows), cf.open_image(workspace, rows["path"][0]).width == rows["width"][0])
"""
COMMANDS = (
    ["cf-crawl", "--limit", "10"],
    ["cf-caption", "--source", "photos=photos"],
    ["cf-sample", "--images", "2"],
    ["cf-build-manifest"],
)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with small_hub(tmp_path_factory.mktemp("hub") / "hub") as running:
        yield running


def _run(command: list[str], folder: Path, hub: HubProcess) -> str:
    environment = environment_of(hub, folder / "home")
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def _folder(path: Path) -> Path:
    photographs.write_digits(path / "photos")
    return path


def test_every_example_runs_as_written(hub: HubProcess, tmp_path: Path) -> None:
    names = ["crawl", "caption", "sample", "status", "build_manifest", "publish", "read_manifest", "open_image"]
    _run([sys.executable, "-c", RUN_EXAMPLES, *names], _folder(tmp_path), hub)
    _run([sys.executable, "-c", DOWNLOAD, hub.endpoint], tmp_path, hub)
    _run([sys.executable, "-c", RUN_EXAMPLES, "restore"], tmp_path, hub)


def test_a_short_script_makes_the_dataset_that_the_command_lines_make(hub: HubProcess, tmp_path: Path) -> None:
    script = _folder(tmp_path) / "make_dataset.py"
    script.write_text(SCRIPT)
    assert _run([sys.executable, str(script)], tmp_path, hub) == "done done done\nTrue True\n"
    by_script = (tmp_path / "workspace" / "manifest" / "manifest.parquet").read_bytes()
    # In the same place, because paths are part of some rows.
    (tmp_path / "workspace").rename(tmp_path / "by-script")
    for name, *arguments in COMMANDS:
        _run([str(Path(sys.executable).parent / name), *arguments], tmp_path, hub)
    assert (tmp_path / "workspace" / "manifest" / "manifest.parquet").read_bytes() == by_script


def test_a_workspace_that_does_not_exist_is_said_in_one_line(tmp_path: Path) -> None:
    import community_forensics as cf

    for read in (cf.status, cf.build_manifest, cf.read_manifest):
        with pytest.raises(cf.UsageError, match="does not exist"):
            read(tmp_path / "nowhere")
    workspace = Workspace.open(tmp_path / "workspace")
    with pytest.raises(cf.UsageError, match="cf-build-manifest"):
        cf.read_manifest(workspace)
