"""Exported trees: their files, their numbers, their bytes, and what happens on the way."""

import csv
import hashlib
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any, get_args

import pytest
from PIL import Image

from manifests.exporting.cli import main
from manifests.exporting.destination import Destination
from manifests.exporting.export import Exported, export
from manifests.exporting.side_table import ExportRow
from manifests.exporting.trees import tree_of
from manifests.manifest import ManifestRow, manifest_path
from manifests.options import ExportOptions, TreeName
from tests.manifests.commands import run
from tests.manifests.exporting.small_disk import resize, small_disk
from tests.manifests.processes import SERVER
from workspace import records
from workspace.errors import CommunityForensicsError, UsageError
from workspace.layout import Workspace

_GENERATOR = "(?:org--train_er-v1_5|org--walker|Org--Tester-[0-9a-f]{16}|org--tester-[0-9a-f]{16})"
#: The folders of each layout.
FOLDERS = {
    "real-fake": f"(train|test)/{_GENERATOR}/(real|fake)",
    "0_real-1_fake": f"(train|test)/{_GENERATOR}/(0_real|1_fake)",
    "genimage": f"{_GENERATOR}/(train|val)/(nature|ai)",
    "imagefolder": "(train|test)/(real|fake)",
    "imagefolder-generators": f"(train|test)/(real|{_GENERATOR})",
}


def files(folder: Path) -> dict[str, bytes]:
    """The images of an export, by path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "/" in path.relative_to(folder).as_posix()
    }


def state(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def table(folder: Path) -> list[ExportRow]:
    return records.read(folder / "export.parquet", ExportRow)


@pytest.mark.parametrize("layout", get_args(TreeName))
def test_every_file_is_where_the_layout_has_it_with_its_bytes_and_its_row(
    workspace: Workspace, tmp_path: Path, layout: TreeName
) -> None:
    done = export(workspace, tmp_path / "tree", ExportOptions(layout=layout))
    found, rows = files(tmp_path / "tree"), table(tmp_path / "tree")
    assert [row.path for row in rows] == sorted(found)
    assert done.files == done.added == len(found)
    manifest = {row.sha256: row for row in records.read(manifest_path(workspace), ManifestRow)}
    for row in rows:
        assert re.fullmatch(FOLDERS[layout] + r"/[0-9a-f]{16}\.(png|jpg|webp|gif)", row.path), row.path
        assert Path(row.path).name.count(".") == 1
        assert row.sha256 == row.source_sha256 == hashlib.sha256(found[row.path]).hexdigest()
        known = manifest[row.sha256]
        assert (row.label, row.split, row.transform) == (known.label, known.split, None)
        assert row.label == 0 or tree_of(layout).pooled or row.generator == known.model_name
        with Image.open(tmp_path / "tree" / row.path) as image:
            assert {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "gif": "GIF"}[
                row.path.rpartition(".")[2]
            ] == image.format
            assert image.format in tree_of(layout).formats
    by_generator = Counter((row.split, row.generator, row.label) for row in rows)
    groups = {(split, generator) for split, generator, _ in by_generator}
    if tree_of(layout).pooled:
        numbers = Counter((row.split, row.label) for row in rows)
        assert all(numbers[split, 0] == numbers[split, 1] for split in ("train", "test"))
    else:
        assert all(by_generator[*group, 0] == by_generator[*group, 1] for group in groups)
        assert len(groups) == 4
    with (tmp_path / "tree/export.csv").open(newline="") as file:
        assert [row["path"] for row in csv.DictReader(file)] == [row.path for row in rows]
    assert not (tmp_path / "tree/.locks").exists()


def test_one_split_of_the_studys_layout_has_no_folder_for_it(workspace: Workspace, tmp_path: Path) -> None:
    export(workspace, tmp_path / "tree", ExportOptions(layout="real-fake", split=("test",)))
    assert {path.split("/")[1] for path in files(tmp_path / "tree")} == {"real", "fake"}


def test_what_readers_of_a_layout_ignore_is_left_out_and_said(workspace: Workspace, tmp_path: Path) -> None:
    done = export(workspace, tmp_path / "tree", ExportOptions(layout="0_real-1_fake"))
    lines = list(done.lines())
    assert any(re.search(r"real images? (was|were) left out, of formats .*(WEBP|GIF)", line) for line in lines), lines
    assert any("not all images are RGB (" in line for line in lines)
    done = export(workspace, tmp_path / "other", ExportOptions(layout="real-fake"))
    assert not any("left out" in line for line in done.lines())


def test_a_generator_is_beside_the_images_whose_captions_were_its_prompts(workspace: Workspace, tmp_path: Path) -> None:
    export(workspace, tmp_path / "tree", ExportOptions(layout="real-fake"))
    manifest = {row.sha256: row for row in records.read(manifest_path(workspace), ManifestRow)}
    beside: dict[Any, tuple[set[Any], set[Any]]] = {}
    for row in table(tmp_path / "tree"):
        beside.setdefault(row.generator, (set(), set()))[row.label].add(manifest[row.sha256].real_sha256)
    for real, prompts in beside.values():
        assert real == prompts


def test_links_are_the_files_themselves_where_they_can_be_and_copies_elsewhere(
    workspace: Workspace, tmp_path: Path
) -> None:
    options = ExportOptions(layout="real-fake", split=("test",), link=True)
    export(workspace, tmp_path / "linked", options)
    assert all(path.stat().st_nlink > 1 for path in (tmp_path / "linked").rglob("*/*/*") if path.is_file())
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system")
    folder = other / f"cf-export-{os.getpid()}"
    try:
        done = export(workspace, folder, options)
        assert files(folder) == files(tmp_path / "linked")
        assert "14 files copied, not linked (Invalid cross-device link)" in list(done.lines())
    finally:
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        folder.rmdir()


def test_variants_are_encoded_alike_each_in_its_own_tree(workspace: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "tree"
    done = export(workspace, folder, ExportOptions(layout="real-fake", split=("test",), jpeg=(90, 50), resize="16"))
    assert list(done.trees) == ["original", "resize16-jpeg90", "resize16-jpeg50"]
    found, rows = files(folder), table(folder)
    assert sorted(found) == [row.path for row in rows]
    stems = {}
    for row in rows:
        tree, _, path = row.path.partition("/")
        stems.setdefault(tree, set()).add(path.rpartition(".")[0])
        assert hashlib.sha256(found[row.path]).hexdigest() == row.sha256
        with Image.open(folder / row.path) as image:
            if tree == "original":
                assert (row.transform, row.sha256) == (None, row.source_sha256)
            else:
                assert row.transform == tree
                size = (24, 16) if row.label == 0 else (16, 16)
                assert (image.format, image.mode, image.size) == ("JPEG", "RGB", size)
                assert not image.getexif()
    assert stems["original"] == stems["resize16-jpeg90"] == stems["resize16-jpeg50"]
    small, large = (sum(len(found[row.path]) for row in rows if row.transform == f"resize16-jpeg{q}") for q in (50, 90))
    assert small < large
    # The same bytes for the same image, wherever it stands, and in another run.
    again = tmp_path / "again"
    export(workspace, again, ExportOptions(layout="real-fake", split=("test",), jpeg=(90, 50), resize="16"))
    assert files(again) == found
    before = state(folder)
    export(workspace, folder, ExportOptions(layout="real-fake", split=("test",), jpeg=(90, 50), resize="16"))
    assert {path: seen for path, seen in state(folder).items() if "export." not in path} == {
        path: seen for path, seen in before.items() if "export." not in path
    }


def test_resized_without_jpeg_is_png(workspace: Workspace, tmp_path: Path) -> None:
    export(workspace, tmp_path / "tree", ExportOptions(layout="genimage", split=("test",), resize="12x10"))
    for path in (tmp_path / "tree/resize12x10").rglob("*.*"):
        with Image.open(path) as image:
            assert (image.format, image.mode, image.size) == ("PNG", "RGB", (12, 10))


def _killed(root: str, folder: str) -> None:
    """Exports, and is killed when it has made three files."""
    put, made = Destination.put, []

    def put_three(self: Destination, path: str, content: bytes, scratch: Path) -> None:
        if len(made) == 3:
            (scratch / "half").write_bytes(content[:5])
            os.kill(os.getpid(), 9)
        made.append(path)
        put(self, path, content, scratch)

    Destination.put = put_three  # type: ignore[method-assign]
    export(Workspace(Path(root)), Path(folder), ExportOptions(layout="real-fake"))


def test_killed_the_same_command_continues_to_the_same_tree(workspace: Workspace, tmp_path: Path) -> None:
    process = SERVER.start(_killed, str(workspace.root), str(tmp_path / "killed"))
    process.join()
    assert process.exitcode == -9
    before = files(tmp_path / "killed")
    kept = {path for path in before if not path.startswith(".locks/")}
    assert 0 < len(kept) <= 3
    seen = state(tmp_path / "killed")
    done = export(workspace, tmp_path / "killed", ExportOptions(layout="real-fake"))
    whole = export(workspace, tmp_path / "whole", ExportOptions(layout="real-fake"))
    assert done.added == whole.added - len(kept)
    assert files(tmp_path / "killed") == files(tmp_path / "whole")
    assert {
        str(tmp_path / "killed" / path): state(tmp_path / "killed")[str(tmp_path / "killed" / path)] for path in kept
    }.items() <= seen.items()
    for name in ("export.csv", "export.parquet", "export.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def refused(workspace: Workspace, folder: Path, **options: Any) -> str:
    with pytest.raises(CommunityForensicsError) as caught:
        export(workspace, folder, ExportOptions(**{"layout": "real-fake", **options}))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_others_have_in_the_folder_is_refused_and_stays(workspace: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")
    assert "is not empty, and cf-export did not make it" in refused(workspace, folder)
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]
    assert "is a file" in refused(workspace, folder / "thesis.txt")
    (folder / "export.json").write_text("[]")
    assert "was not written by this version" in refused(workspace, folder)
    (folder / "export.json").write_text("no JSON")
    assert "was not written by cf-export" in refused(workspace, folder)


def test_another_export_in_the_folder_is_refused_and_the_difference_is_said(
    workspace: Workspace, tmp_path: Path
) -> None:
    folder = tmp_path / "tree"
    export(workspace, folder, ExportOptions(layout="real-fake", split=("test",)))
    before = state(folder)
    assert "layout 'real-fake', not 'genimage'" in refused(workspace, folder, layout="genimage", split=("test",))
    assert "split ['test'], not []" in refused(workspace, folder)
    assert state(folder) == before
    image = next(folder.rglob("*.png"))
    image.write_bytes(b"mine")
    assert f"{image} is not the file that cf-export wrote: remove it" in refused(workspace, folder, split=("test",))
    assert image.read_bytes() == b"mine"
    image.unlink()
    done = export(workspace, folder, ExportOptions(layout="real-fake", split=("test",)))
    assert done.added == 1
    # What a reader leaves there, as the study's does, is no obstacle.
    (folder / "index.csv").write_text("ImagePath\n")
    assert export(workspace, folder, ExportOptions(layout="real-fake", split=("test",))).added == 0


def test_a_changed_image_is_named_and_the_tree_has_no_file_of_it(workspace: Workspace, tmp_path: Path) -> None:
    row = next(row for row in records.read(manifest_path(workspace), ManifestRow) if row.split == "test")
    path = workspace.root / row.path
    content = path.read_bytes()
    path.write_bytes(content + b"more")
    try:
        said = refused(workspace, tmp_path / "tree", split=("test",))
        assert f"{row.path} has changed since the manifest was built" in said
        assert not list((tmp_path / "tree").rglob(f"{row.sha256[:16]}.*"))
        assert not (tmp_path / "tree/export.csv").exists()
    finally:
        path.write_bytes(content)


def test_a_split_that_the_manifest_lacks_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    said = refused(workspace, tmp_path / "tree", split=("validation",))
    assert "--split validation: the manifest has no such images, only train and test" in said
    assert not (tmp_path / "tree").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"jpeg": (0,)}, "--jpeg 0"),
        ({"jpeg": (101,)}, "--jpeg 101"),
        ({"resize": "0"}, "--resize '0'"),
        ({"resize": "12x"}, "--resize '12x'"),
        ({"resize": "99999"}, "--resize '99999'"),
        ({"resize": "-5"}, "--resize '-5'"),
        ({"layout": "tree"}, "--layout 'tree' is not one of real-fake"),
        ({"split": ("tests",)}, "--split 'tests' is not one of"),
    ],
)
def test_values_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        ExportOptions(**{"layout": "real-fake", **options})


def test_a_path_that_readers_take_for_a_label_is_said(workspace: Workspace, tmp_path: Path) -> None:
    done: Exported = export(workspace, tmp_path / "my_1_fake", ExportOptions(layout="0_real-1_fake", split=("test",)))
    assert any("has 1_fake in its path" in line for line in done.lines())


def test_a_full_disk_is_one_line_and_the_same_command_continues(workspace: Workspace, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", kilobytes=64) as disk:
        command = [str(disk / "tree"), "--layout", "real-fake", "--workspace", str(workspace.root)]
        done = run(main, *command)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
        assert done.stderr.startswith(f"error: {disk}/tree/")
        assert "cannot be used (No space left on device): free space on that disk" in done.stderr
        assert not (disk / "tree/export.csv").exists()
        resize(disk, kilobytes=8_000)
        done = run(main, *command)
        assert done.returncode == 0, done.stderr
        assert sorted(files(disk / "tree")) == [row.path for row in table(disk / "tree")]
