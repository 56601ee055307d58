"""The examples run on a small Hub: scripts, the notebook, and those in docstrings."""

import inspect
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import pytest
import tomli_w
from nbclient import NotebookClient

import community_forensics as cf
from localhub.process import HubProcess
from tests.programs import Programs
from tests.samplers.inputs import write_prompts
from tests.samplers.provider.server import KEY, Provider, running
from tests.small_hub import GENERATORS
from workspace.layout import Workspace

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOK = EXAMPLES / "look_at_a_dataset.ipynb"


@pytest.fixture(scope="module")
def workspace(place: Path, programs: Programs) -> Path:
    """The workspace that the first example makes; the others read it."""
    programs.script(EXAMPLES / "make_dataset.py", place / "workspace", place / "photos", "org/made")
    return place / "workspace"


#: Functions whose examples need files of their own.
OTHERS = ("add", "forecast_remote", "sample_remote")

# Runs the docstring examples of the functions named on the command line, in this order, and fails where one differs.
RUN_DOCSTRINGS = """
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
DOWNLOAD = (
    "from huggingface_hub import snapshot_download as get; get('org/made', repo_type='dataset', local_dir='download')"
)


def test_every_example_is_tested_here() -> None:
    tested = Path(__file__).read_text()
    assert all(path.name in tested for path in EXAMPLES.iterdir() if path.is_file())


@pytest.mark.timeout(600)
def test_make_dataset_ends_with_a_dataset_on_the_hub(workspace: Path, hub: HubProcess) -> None:
    from localhub.store import Store

    assert (workspace / "report" / "index.html").is_file()
    assert {path.name for path in (workspace / "images").iterdir()} == {one.replace("/", "--") for one in GENERATORS}
    store = Store(hub.directory)
    assert "SHA256SUMS" in store.commit_of(store.repo("dataset", "org/made")).files


@pytest.mark.timeout(600)
def test_the_example_of_every_public_function_runs_as_written(workspace: Path, place: Path, programs: Programs) -> None:
    functions = sorted(name for name in cf.__all__ if inspect.isfunction(getattr(cf, name)) and name not in OTHERS)
    # Each stage finds what the first example made, with the same settings.
    programs.source(DOWNLOAD, folder=place)
    (place / "gan-images").mkdir()
    for photograph in sorted(path for path in (place / "photos").iterdir() if path.suffix != ".txt")[:2]:
        shutil.copy(photograph, place / "gan-images")
    programs.source(RUN_DOCSTRINGS, *functions, folder=place)


@pytest.mark.timeout(600)
def test_the_examples_of_programs_and_of_remote_generators_run_as_written(tmp_path: Path, programs: Programs) -> None:
    """In a workspace that was not sampled yet."""
    (tmp_path / "faces.py").write_text("def sample(seeds):\n    raise NotImplementedError\n")
    faces = {"kind": "program", "architecture": "GAN", "task": "unconditional"}
    how = {"format": "python", "file": "faces.py", "pixels": "0..255"}
    (tmp_path / "faces.toml").write_text(tomli_w.dumps({"me/faces": {**faces, "program": how}}))
    write_prompts(Workspace.open(tmp_path / "workspace"), {"photos": [f"a photo of {number}" for number in range(8)]})
    with running(Provider()) as provider:
        remote = {"provider": "openai", "model": "m", "endpoint": provider.endpoint, "key": "TEST_KEY", "price": 0.5}
        painter = {"kind": "remote", "subset": "Commercial", "architecture": "Commercial", "task": "text-to-image"}
        (tmp_path / "painter.toml").write_text(tomli_w.dumps({"acme/painter": {**painter, "remote": remote}}))
        key = f"import os\nos.environ['TEST_KEY'] = {KEY!r}\n"
        programs.source(key + RUN_DOCSTRINGS, *OTHERS, folder=tmp_path)
        assert provider.charged.total() == 4


@pytest.mark.timeout(600)
def test_the_command_lines_make_the_same_dataset(workspace: Path, place: Path, programs: Programs) -> None:
    made = place / "by-command-line"
    for command in (
        ["cf-crawl", "--limit", "50"],
        ["cf-caption", "--source", "photos=photos", "--limit", "100"],
        ["cf-sample", "--images", "4"],
        ["cf-build-manifest"],
    ):
        programs.command(*command, folder=place, CF_WORKSPACE=str(made))
    manifests = [folder / "manifest" / "manifest.parquet" for folder in (made, workspace)]
    assert manifests[0].read_bytes() == manifests[1].read_bytes()


@pytest.mark.timeout(600)
def test_own_generators_says_how_each_of_them_ended(place: Path, programs: Programs) -> None:
    names = ["inkwell/ddpm-digits", "CompVis/stable-diffusion-safety-checker"]
    output = programs.script(EXAMPLES / "own_generators.py", place / "own", place / "photos", *names)
    assert output.splitlines() == [
        "CompVis/stable-diffusion-safety-checker: cannot be sampled, no-model-index: "
        "CompVis/stable-diffusion-safety-checker has no model_index.json",
        "inkwell/ddpm-digits: done, 4 images",
    ]


def test_evaluation_set_holds_generators_out(workspace: Path, programs: Programs, tmp_path: Path) -> None:
    copy = shutil.copytree(workspace, tmp_path / "workspace")
    output = programs.script(EXAMPLES / "evaluation_set.py", copy, "org/evaluated", "architecture=PixDiff")
    assert "evaluation: inkwell/ddpm-digits inkwell/if-digits" in output
    assert "PublicEval" in output


def test_training_set_gives_batches_of_tensors_and_labels(workspace: Path, programs: Programs) -> None:
    output = programs.script(EXAMPLES / "training_set.py", workspace)
    assert output.startswith("(8, 3, 64, 64) [")


@pytest.mark.timeout(600)
def test_a_shard_of_a_job_array_samples_from_a_mirror_without_the_hub(
    workspace: Path, programs: Programs, hub: HubProcess, tmp_path: Path
) -> None:
    """With the command that `deploy/slurm/sample.sh` calls; the script is run by `tests/deploy/test_slurm.py`."""
    programs.command("cf-hub", "mirror", workspace / "catalog.parquet", tmp_path / "mirror")
    node = tmp_path / "node"
    node.mkdir()
    shutil.copy(workspace / "catalog.parquet", node)
    shutil.copytree(workspace / "prompts", node / "prompts")
    array = {"ID": "2", "MIN": "1", "MAX": "3", "STEP": "1", "COUNT": "3"}
    job = {f"SLURM_ARRAY_TASK_{name}": value for name, value in array.items()}
    options = ["--shard", "auto", "--images", "2", "--no-help"]
    hub.clear_requests()
    with HubProcess(tmp_path / "mirror") as mirror:
        programs.command("cf-sample", "--workspace", node, *options, **job, **mirror.environment())
        assert any("/resolve/" in request["path"] for request in mirror.requests())
    assert hub.requests() == []
    (sampled,) = (node / "images").iterdir()
    assert len(list(sampled.iterdir())) == 2


@pytest.mark.timeout(600)
def test_the_notebook_runs_and_its_output_has_pictures(
    workspace: Path, environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CF_WORKSPACE", str(workspace))
    monkeypatch.setenv("PATH", environment["PATH"])
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    for cell in notebook.cells:
        cell.outputs = [] if cell.cell_type == "code" else cell.get("outputs", [])
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    assert len(pictures_of(notebook)) >= 3


def test_the_notebook_was_saved_with_its_pictures_and_is_small() -> None:
    notebook = json.loads(NOTEBOOK.read_text())
    assert len(pictures_of(notebook)) >= 3
    assert NOTEBOOK.stat().st_size < 500_000


def pictures_of(notebook: Mapping[str, Any]) -> list[str]:
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    return [output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})]
