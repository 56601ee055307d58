"""Sampling in a workspace on an object store, by several nodes: the files of one run in a folder."""

import dataclasses
import multiprocessing
import multiprocessing.forkserver
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

import community_forensics as cf
from localhub.store import Store
from samplers.options import SampleOptions
from samplers.options import Store as ImageStore
from samplers.running.supervisor import sample
from tests.s3 import S3
from tests.samplers.conftest import CLASSES, PIXELS
from tests.samplers.inputs import entry_of, files_of
from tests.scale import scaled, weekly
from workspace import process_folder
from workspace.command_line import run
from workspace.layout import Workspace
from workspace.objects.bucket import Bucket

#: Seconds without a sign of life after which a claim is free, in whole seconds of the server's clock.
CLAIM_SECONDS = 4.0


def upload(workspace: Workspace, address: str) -> None:
    """Put the files of a workspace into a bucket, as `aws s3 sync` does."""
    bucket = Bucket(address)
    for path in workspace.root.rglob("*"):
        if path.is_file():
            bucket.create(path.relative_to(workspace.root).as_posix(), path)


def download(address: str, folder: Path) -> Workspace:
    """Copy what a bucket has to a folder, as `aws s3 sync` does."""
    bucket = Bucket(address)
    for name in bucket.listing():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        bucket.download(name, path)
    return Workspace(folder)


def start(address: str, options: SampleOptions, node: Path) -> BaseProcess:
    """A supervisor on a node of its own: with another folder for replicas and weights."""
    process = multiprocessing.get_context("forkserver").Process(
        target=_sample,
        args=(address, dataclasses.replace(options, weights_dir=node / "weights"), node, dict(os.environ)),
    )
    process.start()
    return process


def _sample(address: str, options: SampleOptions, node: Path, environment: dict[str, str]) -> None:
    import huggingface_hub.constants

    os.environ.update({name: value for name, value in environment.items() if name.startswith("AWS_")})
    os.environ["CF_CACHE_DIR"] = str(node / "cache")
    huggingface_hub.constants.HF_HUB_OFFLINE = False
    multiprocessing.forkserver._forkserver.ensure_running = lambda: None  # type: ignore[attr-defined]
    multiprocessing.forkserver.ensure_running = lambda: None
    process_folder.SILENT_SECONDS = CLAIM_SECONDS
    run(lambda: cf.sample(address, options))


@pytest.fixture
def plain(store: Store, make_workspace: Callable[..., Workspace]) -> Workspace:
    """A workspace that is not sampled."""
    return make_workspace(*(entry_of(store, name, rank) for rank, name in enumerate((PIXELS, CLASSES), start=1)))


@weekly("journeys/test_object_store.py::test_i_want_the_whole_run_in_a_bucket")
@pytest.mark.parametrize("images_in", scaled(["files"], ["files", "parquet"]))  # the other test has the other
def test_a_bucket_has_the_files_of_a_plain_run_and_a_second_command_finds_nothing_to_do(
    images_in: ImageStore,
    s3: S3,
    plain: Workspace,
    options: SampleOptions,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = dataclasses.replace(options, images=3, batch_size=2, store=images_in)
    address = s3.address()
    upload(plain, address)
    cf.sample(address, options)
    for node in ("this node", "another node"):
        monkeypatch.setenv("CF_CACHE_DIR", str(tmp_path / node))
        again = cf.sample(address, options)
        assert (again.pending.finished, again.outcomes) == (2, [])
    status = cf.status(address)
    assert (status.done, status.generators) == (2, 2)
    sample(plain, options)
    assert files_of(download(address, tmp_path / "copy")) == files_of(plain)
    assert not [name for name in Bucket(address).listing() if name.startswith(".locks") or "journal" in name]


def test_two_nodes_share_a_run_and_one_that_is_killed_or_stopped_costs_no_image(
    s3: S3, plain: Workspace, options: SampleOptions, tmp_path: Path
) -> None:
    options = dataclasses.replace(options, images=scaled(12, 24), batch_size=2, steps=2, store="parquet")
    address = s3.address()
    upload(plain, address)
    nodes = [start(address, options, tmp_path / f"node-{number}") for number in range(3)]
    bucket = Bucket(address)
    deadline = time.monotonic() + 120
    while not any("journal" in name for name in bucket.listing("samples/")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(nodes[0].pid or 0, signal.SIGKILL)
    os.kill(nodes[1].pid or 0, signal.SIGSTOP)
    nodes[2].join(180)
    assert nodes[2].exitcode == 0
    os.kill(nodes[1].pid or 0, signal.SIGCONT)
    nodes[1].join(120)
    assert nodes[1].exitcode == 0
    sample(plain, options)
    assert files_of(download(address, tmp_path / "copy")) == files_of(plain)
