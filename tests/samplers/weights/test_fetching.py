import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.catalog import ModelFile
from localhub.process import HubProcess
from localhub.store import Store
from samplers.weights.fetching import Fetcher, FetchError, checked_path, content_key
from tests.hubs import DATE, fill
from tests.samplers.conftest import PIXELS
from tests.samplers.inputs import model_files
from workspace.hub_access import HubAccess
from workspace.identity import sha256_of_file


@pytest.fixture
def fetcher(hub: HubProcess) -> Iterator[Fetcher]:
    yield Fetcher(HubAccess(hub.endpoint))
    hub.clear_faults()


def _file(store: Store, suffix: str) -> tuple[str, ModelFile]:
    revision, files = model_files(store, PIXELS)
    return revision, next(file for file in files if file.path.endswith(suffix))


@pytest.mark.parametrize("suffix", [".safetensors", "model_index.json"])
def test_a_file_is_downloaded_completely_and_leaves_nothing_else(
    store: Store, fetcher: Fetcher, tmp_path: Path, suffix: str
) -> None:
    revision, file = _file(store, suffix)
    fetcher.fetch(PIXELS, revision, file, tmp_path / "file", tmp_path / "scratch")
    expected = store.commit_of(store.repo("model", PIXELS)).files[file.path].sha256
    assert sha256_of_file(tmp_path / "file") == expected
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("kind", ["status", "reset", "drop", "flip"])
def test_a_broken_download_is_repeated(
    store: Store, hub: HubProcess, fetcher: Fetcher, tmp_path: Path, kind: str
) -> None:
    revision, file = _file(store, ".safetensors")
    hub.fail(kind, times=1, path=file.path, method="GET", after=100)
    fetcher.fetch(PIXELS, revision, file, tmp_path / "file", tmp_path / "scratch")
    assert hub.faults()[0]["applied"] == 1
    assert sha256_of_file(tmp_path / "file") == file.sha256


@pytest.mark.parametrize("suffix", [".safetensors", "model_index.json"])
def test_content_that_is_not_the_catalogues_is_refused(
    store: Store, fetcher: Fetcher, tmp_path: Path, suffix: str
) -> None:
    revision, file = _file(store, suffix)
    other = ModelFile(
        path=file.path,
        size=file.size,
        sha256="0" * 64 if file.sha256 else None,
        git_oid="0" * 40 if file.git_oid else None,
    )
    with pytest.raises(FetchError, match="the download is damaged, or the file was changed"):
        fetcher.fetch(PIXELS, revision, other, tmp_path / "file", tmp_path / "scratch")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_does_not_exist_is_refused_at_once(store: Store, fetcher: Fetcher, tmp_path: Path) -> None:
    revision, file = _file(store, ".safetensors")
    absent = ModelFile(path="absent.safetensors", size=file.size, sha256=file.sha256)
    for repo_id, wanted in ((PIXELS, absent), ("nobody/nothing", file)):
        with pytest.raises(FetchError, match=rf"^{repo_id}"):
            fetcher.fetch(repo_id, revision, wanted, tmp_path / "file", tmp_path / "scratch")


def test_a_repository_that_the_configured_hub_does_not_have_comes_from_the_one_it_was_crawled_from_without_the_token(
    store: Store, hub: HubProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision, file = _file(store, "model_index.json")
    (tmp_path / "empty").mkdir()
    with HubProcess(tmp_path / "empty", tokens=["hf_mirror:read"]) as mirror:
        fetcher = Fetcher(HubAccess(mirror.endpoint, "hf_mirror"))
        # The origin answers 401 to a token that it does not know.
        with HubProcess(hub.directory, tokens=["hf_origin:read"]) as origin:
            fetcher.fetch(PIXELS, revision, file, tmp_path / "file", tmp_path / "scratch", crawled_from=origin.endpoint)
        assert (tmp_path / "file").stat().st_size == file.size
        with pytest.raises(FetchError, match=f"^{PIXELS}") as failed:
            fetcher.fetch(PIXELS, revision, file, tmp_path / "other", tmp_path / "scratch")
        assert not failed.value.transient
        monkeypatch.setattr("workspace.hub_file.ATTEMPTS", 1)
        # Away now, it does not say that it has none either: what may pass is no failure of the generator.
        with pytest.raises(FetchError) as failed:
            fetcher.fetch(
                PIXELS, revision, file, tmp_path / "other", tmp_path / "scratch", crawled_from=origin.endpoint
            )
    assert failed.value.transient
    assert f"not on {mirror.endpoint}; from {origin.endpoint}, where it was crawled: " in str(failed.value)


@given(st.lists(st.sampled_from(["..", ".", "", "a", "b.json", "\\", "\0", "c:", "~", "\n"]), min_size=1).map("/".join))
def test_no_name_leaves_the_folder(path: str) -> None:
    try:
        name = checked_path(path)
    except FetchError:
        return
    assert not name.is_absolute()
    assert ".." not in name.parts
    root = PurePosixPath("/weights/folder")
    assert (root / name).is_relative_to(root)
    assert str(name) == path


@pytest.mark.parametrize("path", ["../a", "/etc/passwd", "a/../../b", "a//b", "a\\..\\b", "a\0b", "", "a/", "x" * 256])
def test_invalid_names_are_refused(path: str) -> None:
    with pytest.raises(FetchError, match="not a valid file name"):
        checked_path(path)


@pytest.mark.parametrize("path", ["unet/model.safetensors", "model-00001-of-00002.safetensors", "Übung/a b.json"])
def test_usual_names_are_accepted(path: str) -> None:
    assert str(checked_path(path)) == path


def test_a_file_without_a_valid_hash_is_refused() -> None:
    assert content_key(ModelFile(path="a", size=1, git_oid="a" * 40)) == "git-" + "a" * 40
    for sha256 in (None, "../" + "a" * 61, "A" * 64):
        with pytest.raises(FetchError, match="no valid hash"):
            content_key(ModelFile(path="a", size=1, sha256=sha256))


def test_a_file_shorter_than_announced_is_downloaded_again(
    store: Store, hub: HubProcess, fetcher: Fetcher, tmp_path: Path
) -> None:
    revision, file = _file(store, ".safetensors")
    hub.fail("status", times=1, path=file.path, method="GET", status=200, body="short")
    fetcher.fetch(PIXELS, revision, file, tmp_path / "file", tmp_path / "scratch")
    assert hub.faults()[0]["applied"] == 1
    assert sha256_of_file(tmp_path / "file") == file.sha256


def _listed(fetcher: Fetcher, repo_id: str, revision: str) -> ModelFile:
    return next(file for file in fetcher.listing(repo_id, revision)[1] if file.path == "config.json")


def test_a_file_is_downloaded_at_its_pinned_revision(hub: HubProcess, fetcher: Fetcher, tmp_path: Path) -> None:
    first = fill(hub.directory, "fetching/moved", {"config.json": b"first"})
    pinned = _listed(fetcher, "fetching/moved", first)
    content = {"config.json": b"second, and longer"}
    second = Store(hub.directory).commit("model", "fetching/moved", add=content, message="changed", date=DATE)
    assert [fetcher.listing("fetching/moved", revision)[0] for revision in (first, None)] == [first, second]
    assert _listed(fetcher, "fetching/moved", first) == pinned != _listed(fetcher, "fetching/moved", second)
    fetcher.fetch("fetching/moved", first, pinned, tmp_path / "file", tmp_path / "scratch")
    assert (tmp_path / "file").read_bytes() == b"first"


def test_a_file_appears_after_its_bytes_are_on_the_disk(
    store: Store, fetcher: Fetcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision, file = _file(store, ".safetensors")
    flushed: list[tuple[int, bool]] = []
    fsync = os.fsync

    def recording(descriptor: int) -> None:
        fsync(descriptor)
        flushed.append((os.fstat(descriptor).st_ino, (tmp_path / "file").exists()))

    monkeypatch.setattr(os, "fsync", recording)
    fetcher.fetch(PIXELS, revision, file, tmp_path / "file", tmp_path / "scratch")
    assert ((tmp_path / "file").stat().st_ino, False) in flushed


def test_the_given_token_opens_a_gated_repository_and_without_one_the_remedy_is_named(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub", tokens=["hf_reader"]) as hub:
        revision = fill(hub.directory, "fetching/gated", {"config.json": b"{}"}, gated="auto")
        file = _listed(Fetcher(HubAccess(hub.endpoint, "hf_reader")), "fetching/gated", revision)
        paths = tmp_path / "file", tmp_path / "scratch"
        with pytest.raises(FetchError, match="accept its terms on the Hub and set HF_TOKEN"):
            Fetcher(HubAccess(hub.endpoint)).fetch("fetching/gated", revision, file, *paths)
        Fetcher(HubAccess(hub.endpoint, "hf_reader")).fetch("fetching/gated", revision, file, *paths)
    assert (tmp_path / "file").read_bytes() == b"{}"
