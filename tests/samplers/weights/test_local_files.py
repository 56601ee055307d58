import hashlib
import os
import threading
from concurrent.futures import CancelledError
from pathlib import Path

import pytest

from crawler.catalog import ModelFile
from samplers.weights.fetching import Fetcher, FetchError
from workspace.roots import place_name

REVISION = "ab" * 32


def _file(content: bytes, path: str = "unet/x.safetensors") -> ModelFile:
    return ModelFile(path=path, size=len(content), sha256=hashlib.sha256(content).hexdigest())


def _fetch(place: Path, file: ModelFile, to: Path, revision: str = REVISION) -> bytes:
    fetcher = Fetcher(places={place_name("me/x", REVISION): place})
    fetcher.fetch("me/x", revision, file, to / "got", to / "scratch")
    assert not (to / "scratch").exists()
    return (to / "got").read_bytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret place" / "unet").mkdir(parents=True)
    (tmp_path / "secret place" / "unet" / "x.safetensors").write_bytes(b"weights")
    return tmp_path / "secret place"


def test_a_file_of_a_folder_and_a_single_file_are_copied_without_the_hub(folder: Path, tmp_path: Path) -> None:
    assert _fetch(folder, _file(b"weights"), tmp_path) == b"weights"
    single = _file(b"weights", "checkpoint.safetensors")
    assert _fetch(folder / "unet" / "x.safetensors", single, tmp_path) == b"weights"


def test_the_parts_of_a_program_have_places_of_their_own(folder: Path, tmp_path: Path) -> None:
    name = place_name("me/x", REVISION)
    (tmp_path / "m.py").write_bytes(b"code")
    fetcher = Fetcher(places={f"{name}/unet": folder / "unet", f"{name}/run.py": tmp_path / "m.py"})
    for path, content in (("unet/x.safetensors", b"weights"), ("run.py", b"code")):
        fetcher.fetch("me/x", REVISION, _file(content, path), tmp_path / "got", tmp_path / "scratch")
        assert (tmp_path / "got").read_bytes() == content
    with pytest.raises(FetchError, match=r"roots\.toml does not say where it is"):
        fetcher.fetch("me/x", REVISION, _file(b"x", "other/x.bin"), tmp_path / "got", tmp_path / "scratch")


def test_what_is_copied_stays_when_the_original_is_written_to(folder: Path, tmp_path: Path) -> None:
    _fetch(folder, _file(b"weights"), tmp_path)
    with (folder / "unet" / "x.safetensors").open("r+b") as original:
        original.write(b"WEIGHTS")
    assert (tmp_path / "got").read_bytes() == b"weights"


@pytest.mark.parametrize("content", [b"WEIGHTS", b"weight", b"weights and more", b""])
def test_a_file_that_has_changed_is_refused_without_its_place(folder: Path, tmp_path: Path, content: bytes) -> None:
    (folder / "unet" / "x.safetensors").write_bytes(content)
    with pytest.raises(FetchError) as caught:
        _fetch(folder, _file(b"weights"), tmp_path)
    assert str(caught.value) == (
        "me/x: unet/x.safetensors was changed after the crawl: crawl it again with `cf-crawl --from FILE` (a "
        "program: `cf-add FILE`), or put the file back as it was"
    )
    assert not caught.value.transient
    assert not (tmp_path / "got").exists()


@pytest.mark.attack
@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("link", "is a link that leads out of its folder"),
        ("pipe", "is not a regular file"),
        ("folder", "is not a regular file"),
        ("nothing", "cannot be read: No such file or directory"),
    ],
)
def test_what_is_no_file_of_the_folder_is_refused_at_once(
    folder: Path, tmp_path: Path, what: str, message: str
) -> None:
    path = folder / "unet" / "x.safetensors"
    path.unlink()
    if what == "link":
        (tmp_path / "outside").write_bytes(b"weights")
        path.symlink_to(tmp_path / "outside")
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    with pytest.raises(FetchError, match=message) as caught:
        _fetch(folder, _file(b"weights"), tmp_path)
    assert "secret place" not in str(caught.value)


def test_a_generator_that_is_elsewhere_is_not_asked_of_the_hub(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"roots\.toml does not say where it is on this one"):
        _fetch(folder, _file(b"weights"), tmp_path, revision="cd" * 32)


def test_a_copy_ends_when_the_process_stops(folder: Path, tmp_path: Path) -> None:
    stopping = threading.Event()
    stopping.set()
    fetcher = Fetcher(places={place_name("me/x", REVISION): folder})
    with pytest.raises(CancelledError):
        fetcher.fetch("me/x", REVISION, _file(b"weights"), tmp_path / "got", tmp_path / "scratch", stopping)
    assert not (tmp_path / "got").exists()
