"""The examples run on a small Hub: scripts, the notebook, and those in docstrings."""

import inspect
import json
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

import community_forensics as cf
from localhub.process import HubProcess
from tests.programs import Programs
from tests.small_hub import GENERATORS, write_photographs

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOK = EXAMPLES / "look_at_a_dataset.ipynb"


@pytest.fixture(scope="module")
def workspace(place: Path, programs: Programs) -> Path:
    """The workspace that the first example makes; the others read it."""
    programs.script(EXAMPLES / "make_dataset.py", place / "workspace", place / "photos", "org/made")
    return place / "workspace"


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
    functions = sorted(name for name in cf.__all__ if inspect.isfunction(getattr(cf, name)))
    # Each stage finds what the first example made, with the same settings.
    programs.source(DOWNLOAD, folder=place)
    programs.source(RUN_DOCSTRINGS, *functions, folder=place)


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
    # With captions of their own: no captioner is loaded.
    write_photographs(place / "captioned")
    for photograph in [*(place / "captioned").iterdir()]:
        photograph.with_suffix(".txt").write_text("a photograph\n")
    output = programs.script(EXAMPLES / "own_generators.py", place / "own", place / "captioned", *names)
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
    workspace: Path, programs: Programs, environment: Mapping[str, str], tmp_path: Path
) -> None:
    programs.script(EXAMPLES / "mirror_for_cluster.py", workspace, tmp_path / "mirror")
    node = tmp_path / "node"
    node.mkdir()
    shutil.copy(workspace / "catalog.parquet", node)
    shutil.copytree(workspace / "prompts", node / "prompts")
    job = {"SLURM_ARRAY_TASK_ID": "2", "SLURM_ARRAY_TASK_COUNT": "3", "USER": "somebody"}
    with HubProcess(tmp_path / "mirror") as mirror:
        ended = subprocess.run(
            ["bash", str(EXAMPLES / "slurm_sample.sh"), str(node), "--images", "2"],
            env={**environment, **mirror.environment(), **job},
            capture_output=True,
            text=True,
            check=False,
            timeout=500,
        )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (sampled,) = (node / "images").iterdir()
    assert len(list(sampled.iterdir())) == 2


SAMPLING = """#!/bin/bash
trap 'exit 75' TERM
touch started
while :; do sleep 0.05; done
"""


def test_a_task_that_is_ended_at_its_time_limit_goes_back_into_the_queue(tmp_path: Path) -> None:
    for name, script in {"cf-sample": SAMPLING, "scontrol": '#!/bin/bash\necho "$*" > requeued\n'}.items():
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
    job = {"SLURM_ARRAY_TASK_ID": "2", "SLURM_ARRAY_TASK_COUNT": "3", "SLURM_JOB_ID": "17", "USER": "somebody"}
    with subprocess.Popen(
        ["bash", str(EXAMPLES / "slurm_sample.sh"), "workspace"],
        cwd=tmp_path,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", **job},
    ) as task:
        while not (tmp_path / "started").exists():
            time.sleep(0.01)
        # As `--signal=B:TERM@120` does: to the script alone.
        task.terminate()
        assert task.wait(20) == 75
    assert (tmp_path / "requeued").read_text() == "requeue 17\n"


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
