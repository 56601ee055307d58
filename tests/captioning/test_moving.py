"""workspace/roots.py and captioning/moving.py: a workspace is read where the photographs are elsewhere."""

import hashlib
import shutil
from pathlib import Path

import pytest

from captioning.moving import move_roots
from captioning.options import CaptionOptions
from captioning.prompt import read_prompts
from captioning.stage import caption
from manifests.images import ImageReader
from tests.captioning.archives import write_tar
from tests.captioning.oddities import encoded, picture
from tests.captioning.runs import run
from workspace.errors import UsageError
from workspace.layout import Workspace
from workspace.roots import located, read_roots, record_roots

JPEG = encoded(picture(), "JPEG")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Captioned with a folder tree, a tar archive and a set of own prompts."""
    here = tmp_path / "here"
    for name in ("photos/deep/1.jpg", "own/2.jpg"):
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_bytes(JPEG)
    (here / "photos/deep/1.txt").write_text("a cat")
    write_tar(here / "one.tar", {"3.jpg": JPEG, "3.txt": b"a dog"})
    (here / "own/own.csv").write_text("prompt,image\na bird,2.jpg\n")
    workspace = Workspace(tmp_path / "workspace")
    options = CaptionOptions(prompts=(str(here / "own/own.csv"),), workers=1)
    caption(workspace, {"photos": here / "photos", "tars": here / "one.tar"}, options)
    return workspace


def paths(workspace: Workspace) -> list[str]:
    return [str(prompt.real_path) for prompt in read_prompts(workspace)]


def hashes(workspace: Workspace) -> set[str]:
    reader = ImageReader(workspace)
    assert {reader.size(path) for path in paths(workspace)} == {len(JPEG)}
    return {hashlib.sha256(reader.read(path)).hexdigest() for path in paths(workspace)}


def test_paths_are_below_named_roots_and_are_read_wherever_these_are(workspace: Workspace, tmp_path: Path) -> None:
    assert paths(workspace) == ["root://own/2.jpg", "root://photos/deep/1.jpg", "root://tars/one.tar#3.jpg"]
    assert hashes(workspace) == {hashlib.sha256(JPEG).hexdigest()}
    (tmp_path / "here").rename(tmp_path / "there")
    with pytest.raises(OSError, match="No such file"):
        hashes(workspace)
    there = tmp_path / "there"
    move_roots(workspace, {"own": there / "own", "photos": there / "photos", "tars": there})
    assert hashes(workspace) == {hashlib.sha256(JPEG).hexdigest()}


def test_the_command_line_moves_a_root_and_says_where_it_is(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "here/photos").rename(tmp_path / "elsewhere")
    ended = run("--workspace", workspace.root, "--root", f"photos={tmp_path / 'elsewhere'}")
    assert (ended.returncode, ended.stdout) == (0, f"photos: its images are read from {tmp_path / 'elsewhere'}\n")
    assert read_roots(workspace)["photos"] == str(tmp_path / "elsewhere")
    assert hashes(workspace) == {hashlib.sha256(JPEG).hexdigest()}


def test_the_same_source_elsewhere_continues_and_moves_its_root(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    before = paths(workspace)
    options = CaptionOptions(prompts=(str(tmp_path / "there/own/own.csv"),), roots={"own": tmp_path / "there/own"})
    caption(workspace, {"photos": tmp_path / "there/photos", "tars": tmp_path / "there/one.tar"}, options)
    assert paths(workspace) == before
    assert read_roots(workspace) == {name: f"{tmp_path}/there{below}" for name, below in FOLDERS.items()}
    said = f"photos: images are now read from {tmp_path / 'there/photos'} (before: {tmp_path / 'here/photos'})"
    assert said in capsys.readouterr().err.replace("\n", " ")


FOLDERS = {"own": "/own", "photos": "/photos", "tars": ""}


def test_a_folder_without_the_images_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    other = tmp_path / "other/deep"
    other.mkdir(parents=True)
    before = read_roots(workspace)
    for roots, message in (
        ({"photos": other}, "deep/1.jpg cannot be read there"),
        ({"photos": tmp_path / "none"}, "is not a folder"),
        ({"foto": other}, "this workspace has no root of that name; it has: own, photos, tars"),
        ({"../x": other}, "cannot name a real source"),
    ):
        with pytest.raises(UsageError, match=message):
            move_roots(workspace, roots)
    (other / "1.jpg").write_bytes(encoded(picture().rotate(180), "JPEG"))
    with pytest.raises(UsageError, match="is another image there"):
        move_roots(workspace, {"photos": other.parent})
    assert read_roots(workspace) == before


def test_several_sources_are_below_one_root_and_move_with_it(tmp_path: Path) -> None:
    for name in ("a/1.jpg", "deep/b/2.jpg"):
        (tmp_path / "data" / name).parent.mkdir(parents=True)
        (tmp_path / "data" / name).write_bytes(JPEG)
        (tmp_path / "data" / name).with_suffix(".txt").write_text(f"photograph {name[-5]} of two")
    workspace, data = Workspace(tmp_path / "workspace"), tmp_path / "data"
    caption(workspace, {"a": data / "a", "b": data / "deep/b"}, CaptionOptions(roots={"all": data}))
    assert paths(workspace) == ["root://all/a/1.jpg", "root://all/deep/b/2.jpg"]
    moved = data.rename(tmp_path / "moved")
    move_roots(workspace, {"all": moved})
    assert read_roots(workspace) == {"all": str(moved)}
    assert hashes(workspace) == {hashlib.sha256(JPEG).hexdigest()}
    again = moved.rename(tmp_path / "again")
    caption(workspace, {"a": again / "a", "b": again / "deep/b"})
    assert read_roots(workspace) == {"all": str(again)}
    with pytest.raises(UsageError, match=r"the images of b are in deep/b below --root all, and .* is no such folder"):
        caption(workspace, {"a": again / "a", "b": again / "a"})
    with pytest.raises(UsageError, match=r"roots\.a was 'all/a', now"):
        caption(workspace, {"a": again / "a", "b": again / "deep/b"}, CaptionOptions(roots={"other": again}))


def test_a_root_that_holds_no_source_or_is_named_twice_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    here, other = tmp_path / "here", tmp_path / "other"
    other.mkdir()
    photos = {"photos": here / "photos"}
    for sources, roots, message in (
        (photos, {"x": other}, "--root x=.*: no --source, and no image of --prompts, is below it"),
        (photos, {"x": tmp_path / "none"}, "--root x=.* is not a folder"),
        ({**photos, "own": here / "own"}, {"own": here / "photos"}, "--root own is the name of two folders"),
    ):
        with pytest.raises(UsageError, match=message):
            caption(workspace, sources, CaptionOptions(roots=roots))


def test_the_root_of_a_source_may_be_named_beside_it(workspace: Workspace, tmp_path: Path) -> None:
    here = tmp_path / "here"
    options = CaptionOptions(prompts=(str(here / "own/own.csv"),), roots={"photos": here / "photos"})
    before = paths(workspace)
    caption(workspace, {"photos": here / "photos", "tars": here / "one.tar"}, options)
    assert paths(workspace) == before


def test_copies_are_found_without_the_source(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(JPEG)
    (tmp_path / "a.txt").write_text("a cat")
    workspace = Workspace(tmp_path / "workspace")
    caption(workspace, {"x": tmp_path / "a.jpg/.."}, CaptionOptions(copy=True, workers=1))
    (tmp_path / "a.jpg").unlink()
    workspace.roots.unlink()
    assert hashes(workspace) == {hashlib.sha256(JPEG).hexdigest()}


def test_locators_of_this_machine_and_of_the_hub_are_as_they_are(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    assert located(workspace, "/data/a.jpg", {}) == "/data/a.jpg"
    assert located(workspace, "hf://datasets/a/b@c/d.jpg", {}) == "hf://datasets/a/b@c/d.jpg"
    assert located(workspace, "real/x/a.jpg", {}) == f"{tmp_path}/real/x/a.jpg"
    with pytest.raises(FileNotFoundError, match="--root x=PATH"):
        located(workspace, "root://x/a.jpg", {})


def test_a_damaged_file_of_roots_is_named_and_a_name_that_is_not_utf8_refused(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    with pytest.raises(UsageError, match="not UTF-8"):
        record_roots(workspace, {"x": Path("/data/\udcff")})
    record_roots(workspace, {"a.b": Path("/data/a = b")})
    assert read_roots(workspace) == {"a.b": "/data/a = b"}
    workspace.roots.write_text("a = ")
    with pytest.raises(UsageError, match="is not TOML"):
        read_roots(workspace)
