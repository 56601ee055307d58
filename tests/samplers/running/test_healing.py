"""What is missing or damaged is made again by the same command, and nothing else is."""

import dataclasses
import os
from pathlib import Path

import pytest

from localhub.process import HubProcess
from localhub.store import Store
from samplers.assignment.pending import find_pending
from samplers.options import SampleOptions
from samplers.outcomes import read_outcome
from samplers.running.supervisor import sample
from tests.samplers.conftest import BASE, CLASSES, PIXELS
from tests.samplers.inputs import PROMPTS, entry_of, files_of, write_catalog, write_prompts
from tests.samplers.storage.making import flipped
from workspace.layout import Workspace, generator_folder, part_name

SETTINGS = {"images": 10, "batch_size": 2, "steps": 2}


@pytest.fixture(scope="module")
def whole(store: Store, hub: HubProcess, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = Workspace.open(tmp_path_factory.mktemp("whole"))
    write_catalog(workspace, [entry_of(store, name, rank) for rank, name in enumerate((PIXELS, CLASSES, BASE), 1)])
    write_prompts(workspace, PROMPTS)
    weights = tmp_path_factory.mktemp("weights")
    sample(workspace, SampleOptions(endpoint=hub.endpoint, weights_dir=weights, device="cpu", **SETTINGS))
    return workspace


@pytest.fixture
def workspace(whole: Workspace, tmp_path: Path) -> Workspace:
    """A copy with its own files and the same times."""
    import shutil

    return Workspace(shutil.copytree(whole.root, tmp_path / "copy"))


def _flip(path: Path, unseen: bool = False) -> None:
    """Change a byte, as a program does; `unseen`: as a disk does, which leaves the time of the file."""
    before = path.stat()
    path.write_bytes(flipped(path))
    if unseen:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_one_command_makes_everything_damaged_again_and_opens_no_other_generator(
    workspace: Workspace, whole: Workspace, options: SampleOptions, hub: HubProcess
) -> None:
    options = dataclasses.replace(options, **SETTINGS)
    images = workspace.images_of(PIXELS)
    (images / "00000001.png").unlink()
    _flip(images / "00000004.png")
    os.truncate(images / "00000009.png", 100)
    _flip(workspace.samples_of(CLASSES) / part_name(0))
    (workspace.images_of(CLASSES) / "00000003.png").unlink()
    hub.clear_requests()
    report = sample(workspace, options)
    assert {outcome.model_name: outcome.end for outcome in report.outcomes} == {PIXELS: "done", CLASSES: "done"}
    assert not [request for request in hub.requests() if BASE in request["path"]]
    assert files_of(workspace) == files_of(whole)
    assert find_pending(workspace, options).generators == []


def test_what_a_disk_changed_by_itself_is_found_where_everything_is_read(
    workspace: Workspace, whole: Workspace, options: SampleOptions
) -> None:
    options = dataclasses.replace(options, **SETTINGS)
    _flip(workspace.images_of(PIXELS) / "00000004.png", unseen=True)
    assert find_pending(workspace, options).generators == []
    sample(workspace, dataclasses.replace(options, verify="full"))
    assert files_of(workspace) == files_of(whole)


def test_an_image_of_another_device_is_said_to_be_not_reproducible(
    workspace: Workspace, options: SampleOptions, whole: Workspace
) -> None:
    """As on another device: the rows say that the images were other ones."""
    from samplers.sample import Sample
    from workspace import records

    part = workspace.samples_of(PIXELS) / part_name(0)
    rows = records.read(part, Sample)
    records.write(part, Sample, [dataclasses.replace(row, sha256="0" * 64, device="H200") for row in rows])
    before = files_of(workspace)
    report = sample(workspace, dataclasses.replace(options, only=(PIXELS,), **SETTINGS))
    (outcome,) = report.outcomes
    assert outcome.status == "not-reproducible"
    assert "cannot be made again here: on cpu" in str(outcome.detail)
    assert files_of(workspace) == before
    assert read_outcome(workspace, PIXELS) == outcome
    assert generator_folder(PIXELS) in "".join(before)
