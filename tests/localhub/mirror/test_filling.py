"""`cf-hub mirror`: what a catalogue names, copied ahead."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from crawler.catalog import CatalogEntry, ModelFile
from localhub.mirror.filling import Copied, fill
from localhub.mirror.upstream import AwayError, Upstream
from localhub.process import HubProcess
from localhub.store import Store
from tests import hubs
from tests.localhub.mirror.conftest import WEIGHTS, asked, away, commit_of
from tests.records import catalog_entry
from workspace import records
from workspace.errors import UsageError

CHECKER = "zoo/checker"
MakeMirror = Callable[..., HubProcess]


@pytest.fixture
def catalog(upstream: HubProcess, tmp_path: Path) -> Path:
    """Two generators, one with a base model, and one that cannot be sampled."""
    upstream.clear_requests()
    if not Store(upstream.directory).exists("model", CHECKER):
        files = {
            "config.json": b"c",
            "preprocessor_config.json": b"p",
            "model.safetensors": b"s",
            "pytorch_model.bin": b"b",
        }
        hubs.fill(upstream.directory, CHECKER, {**files, "README.md": b"r"})
    entries = [
        _entry(upstream, "zoo/other", 2, ["o.bin"]),
        _entry(upstream, "zoo/model", 1, ["unet/w.safetensors", "config.json"], base="zoo/other"),
        catalog_entry("zoo/gone", status="incompatible", reason="no-weights", rank=3),
    ]
    return _written(tmp_path / "catalog.parquet", entries)


def _entry(upstream: HubProcess, name: str, rank: int, paths: list[str], base: str | None = None) -> CatalogEntry:
    of_base: dict[str, object] = {}
    if base is not None:
        of_base = {"base_model": base, "base_revision": commit_of(upstream, base)}
        of_base["base_files"] = _files(upstream, base, ["again.safetensors"])
    files = _files(upstream, name, paths)
    return catalog_entry(name, revision=commit_of(upstream, name), rank=rank, files=files, **of_base)


def _files(upstream: HubProcess, name: str, paths: list[str]) -> tuple[ModelFile, ...]:
    store = Store(upstream.directory)
    listed = store.commit_of(store.repo("model", name)).files
    return tuple(
        ModelFile(
            path=path,
            size=listed[path].size,
            sha256=listed[path].sha256 if listed[path].lfs else None,
            git_oid=None if listed[path].lfs else listed[path].oid,
        )
        for path in paths
    )


def _written(path: Path, entries: list[CatalogEntry]) -> Path:
    records.write(path, CatalogEntry, entries)
    return path


def _copy(upstream: HubProcess, catalog: Path, max_disk: int | None = None) -> Copied:
    return fill(catalog, catalog.parent / "mirror", Upstream(upstream.endpoint), CHECKER, max_disk)


def _paths(upstream: HubProcess) -> list[str]:
    return sorted(line.partition("/resolve/")[2].partition("/")[2] for line in asked(upstream) if "/resolve/" in line)


def test_a_catalogue_is_copied_once_and_served_without_the_hub(
    upstream: HubProcess, catalog: Path, make_mirror: MakeMirror, client: httpx2.Client
) -> None:
    copied = _copy(upstream, catalog)
    assert copied.failed == {}
    assert [name.partition("@")[0] for name in copied.done] == [CHECKER, "zoo/model", "zoo/other"]
    # The weights of both have one hash; the checker's pickle is not loaded.
    expected = [
        "config.json",
        "config.json",
        "model.safetensors",
        "o.bin",
        "preprocessor_config.json",
        "unet/w.safetensors",
    ]
    assert _paths(upstream) == expected
    upstream.clear_requests()
    assert _copy(upstream, catalog).bytes == 0
    assert _paths(upstream) == []
    away(upstream)
    mirror = make_mirror()
    commit = commit_of(upstream, "zoo/model")
    assert client.get(f"{mirror.endpoint}/zoo/model/resolve/{commit}/unet/w.safetensors").content == WEIGHTS
    info = client.get(f"{mirror.endpoint}/api/models/zoo/model/revision/{commit}?blobs=true").json()
    assert (info["sha"], info["downloads"], len(info["siblings"])) == (commit, 500, 5)
    mirror.stop()
    # The directory is that of any Hub.
    with HubProcess(mirror.directory) as plain:
        assert client.get(f"{plain.endpoint}/zoo/model/resolve/{commit}/unet/w.safetensors").content == WEIGHTS
        absent = client.get(f"{plain.endpoint}/zoo/model/resolve/{commit}/README.md")
        assert (absent.status_code, absent.headers["x-error-code"]) == (404, "EntryNotFound")


def test_what_does_not_fit_or_has_changed_is_named_and_the_rest_copied(upstream: HubProcess, catalog: Path) -> None:
    changed = ModelFile(path="o.bin", size=5, sha256="f" * 64, git_oid=None)
    revision = commit_of(upstream, "zoo/other")
    entries = [
        *records.read(catalog, CatalogEntry),
        catalog_entry("zoo/other", rank=9, revision=revision, files=(changed,)),
    ]
    copied = _copy(upstream, _written(catalog, entries[1:]), max_disk=1000)
    reasons = {name.partition("@")[0]: why for name, why in copied.failed.items()}
    assert "does not fit within --max-disk 1.0 kB" in reasons["zoo/model"]
    assert "o.bin is not the file of the catalogue" in reasons["zoo/other"]
    assert [name.partition("@")[0] for name in copied.done] == [CHECKER]


def test_a_copy_without_a_hub_or_a_catalogue_says_what_to_do(upstream: HubProcess, catalog: Path) -> None:
    with pytest.raises(UsageError, match="run `cf-crawl` first"):
        _copy(upstream, catalog.with_name("absent.parquet"))
    catalog.with_name("broken.parquet").write_bytes(b"PAR1")
    with pytest.raises(UsageError, match="no catalogue"):
        _copy(upstream, catalog.with_name("broken.parquet"))
    away(upstream)
    with pytest.raises(AwayError, match="run the same command again later, which continues"):
        _copy(upstream, catalog)
    upstream.clear_faults()


def test_the_command_says_what_it_copied_and_what_not(upstream: HubProcess, catalog: Path) -> None:
    command = [Path(sys.executable).parent / "cf-hub", "mirror", catalog, catalog.parent / "mirror"]
    options = ["--upstream", upstream.endpoint, "--safety-checker", CHECKER, "--max-disk", "1KB"]
    ended = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert ended.returncode == 3, ended.stderr
    assert "copied: 1 repositories into" in ended.stdout
    assert "not copied: zoo/model@" in ended.stdout
