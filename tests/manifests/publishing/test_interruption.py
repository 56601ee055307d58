"""Publishing that is killed, while somebody reads."""

import random
import signal
import subprocess
import threading
import time
from collections import Counter

import pyarrow.parquet as pq

from localhub.process import HubProcess
from manifests.building import build
from manifests.manifest import manifest_path
from manifests.options import PublishOptions
from manifests.publishing.publish import publish_dataset
from tests.manifests.making import Builder
from tests.manifests.processes import finish, start
from tests.manifests.publishing.publishing import (
    PUBLISH,
    WRITER,
    ask,
    blob,
    branches,
    check_whole,
    environment,
    files,
    history,
    publish,
    sent,
    text,
)
from tests.scale import weekly
from workspace.layout import Workspace

#: Many shards, of which few wait at a time.
SIZES = {"max_shard_size": "12KB", "max_staging": "120KB"}


def test_killed_between_two_commits_the_same_command_sends_the_rest_and_readers_see_one_version(
    clean: HubProcess, ready: Workspace
) -> None:
    # Slow enough to be met in the middle: an upload takes a while.
    clean.fail("stall", method="PUT", seconds=0.05)
    options = ["--max-shard-size", SIZES["max_shard_size"], "--max-staging", SIZES["max_staging"]]
    command = [*PUBLISH, "org/killed", "--workspace", str(ready.root), *options]
    killed = subprocess.Popen(command, env=environment(clean), stdout=subprocess.DEVNULL)
    while not any("/commit/cf-publish" in row["path"] for row in clean.requests()):
        assert killed.poll() is None
        time.sleep(0.01)
    killed.kill()
    killed.wait()
    clean.clear_faults()
    before = sent(clean)
    assert 1 < len(before) < 6
    assert files(clean, "org/killed").keys() <= {".gitattributes"}
    assert branches(clean, "org/killed") == {"main", "cf-publish"}
    done = publish(clean, ready, "org/killed", **SIZES)
    assert done.returncode == 0, done.stderr
    assert check_whole(clean, "org/killed") == 31
    assert max(Counter(sent(clean)).values()) == 1
    assert len(sent(clean)) > len(before)
    assert branches(clean, "org/killed") == {"main"}
    assert not [*ready.manifest.glob(".*"), *ready.root.glob(".locks")]


@weekly(
    "manifests/publishing/test_interruption.py"
    "::test_killed_between_two_commits_the_same_command_sends_the_rest_and_readers_see_one_version"
)
def test_killed_at_any_moment_readers_see_one_version_and_nothing_is_sent_twice(
    clean: HubProcess, filled: Builder
) -> None:
    options = PublishOptions(endpoint=clean.endpoint, token=WRITER, **SIZES)
    command = (publish_dataset, filled.workspace, "org/steady", options)
    # Slow enough to be met in the middle: an upload takes a while.
    clean.fail("stall", method="PUT", seconds=0.05)

    def make_version(number: int) -> None:
        # Another row in nearly every shard.
        for generator in filled.catalog[:3]:
            for row in range(len(filled.samples[generator.model_name])):
                filled.change(generator.model_name, row, seed=1000 * number + row)
        build(filled.write())

    build(filled.write())
    finish(print)  # starts the server of processes
    started = time.monotonic()
    finish(*command)
    usual = time.monotonic() - started
    make_version(1)
    clean.clear_requests()
    chosen = random.Random(6)
    commits, versions, kills = len(history(clean, "org/steady")), 1, 0
    with Watcher(clean, "org/steady") as watcher:
        while kills < 30:
            killed = start(*command)
            killed.join(chosen.uniform(0.3, 0.8) * usual)
            killed.kill()
            killed.join()
            kills += killed.exitcode == -signal.SIGKILL
            if killed.exitcode == 0:
                # It was through: the next version is the one to interrupt.
                versions += 1
                make_version(versions)
        finish(*command)
        time.sleep(0.2)
    assert watcher.wrong == []
    assert len(history(clean, "org/steady")) == commits + versions
    assert set(watcher.versions) <= set(history(clean, "org/steady"))
    assert max(Counter(sent(clean)).values()) == 1
    shards = {path: sha256 for path, sha256 in files(clean, "org/steady").items() if path.startswith("data/")}
    rows = [
        (row["model_name"] or row["real_source"], row["image_name"])
        for sha256 in shards.values()
        for row in pq.read_table(blob(clean, sha256), columns=["model_name", "real_source", "image_name"]).to_pylist()
    ]
    assert len(rows) == len(set(rows)) == pq.read_metadata(manifest_path(filled.workspace)).num_rows
    assert branches(clean, "org/steady") == {"main"}
    assert not list(filled.workspace.manifest.glob(".*"))


class Watcher(threading.Thread):
    """A reader who looks at `main` all the time: each version it meets must be whole, as its SHA256SUMS says."""

    def __init__(self, hub: HubProcess, repo_id: str) -> None:
        super().__init__()
        self._hub, self._repo_id, self._leaving = hub, repo_id, threading.Event()
        self.versions: list[str] = []
        self.wrong: list[str] = []

    def __enter__(self) -> "Watcher":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving.set()
        self.join()

    def run(self) -> None:
        while not self._leaving.wait(0.03):
            try:
                self._look()
            except Exception as error:
                self.wrong.append(repr(error))
                return

    def _look(self) -> None:
        here = f"/api/datasets/{self._repo_id}"
        version = ask(self._hub, here)["sha"]
        if version in self.versions:
            return
        self.versions.append(version)
        listing = ask(self._hub, f"{here}/tree/{version}?recursive=true")
        there = {file["path"]: file["lfs"]["oid"] for file in listing if file["path"].startswith("data/")}
        sums = text(self._hub, self._repo_id, "SHA256SUMS", version).splitlines()
        said = {line[66:]: line[:64] for line in sums if line[66:].startswith("data/")}
        if there != said or not there:
            self.wrong.append(version)
