"""A directory of odd and broken images: each is captioned or listed with the right reason, none is lost."""

import hashlib
from pathlib import Path

import pytest

from captioning.images import UnusableImageError, fetch, read_image
from captioning.prompt import Prompt, read_prompts
from captioning.skipped import Skipped, skipped_parts
from captioning.sources.folder import SUFFIXES
from tests.captioning.archives import write_parquet, write_tar
from tests.captioning.odd_directory import odd_files, write_odd_directory
from tests.captioning.oddities import Oddity
from tests.captioning.runs import caption_here
from workspace import records
from workspace.layout import Workspace

EXPECTED = odd_files()


def outcome(root: Path, workspace: Path) -> tuple[dict[str, Prompt], dict[str, Skipped]]:
    (summary,) = caption_here(workspace, {"odd": root}, workers=2)
    opened = Workspace.open(workspace)
    skipped = [row for path in skipped_parts(opened) for row in records.read(path, Skipped)]
    prompts = read_prompts(opened)
    assert (summary.from_dataset + summary.generated, summary.images) == (len(prompts), len(prompts) + len(skipped))
    return {prompt.real_id: prompt for prompt in prompts}, {row.real_id: row for row in skipped}


def check(expected: dict[str, Oddity], prompts: dict[str, Prompt], skipped: dict[str, Skipped]) -> None:
    assert {name: row.reason for name, row in skipped.items()} == {
        name: oddity.reason for name, oddity in expected.items() if oddity.reason is not None
    }
    assert {name: (p.real_format, p.real_width, p.real_height) for name, p in prompts.items()} == {
        name: oddity.facts for name, oddity in expected.items() if oddity.facts is not None
    }
    for name, prompt in prompts.items():
        assert prompt.real_sha256 == hashlib.sha256(expected[name].content).hexdigest()
        assert prompt.prompt
        assert prompt.real_mode
    assert all(row.detail and "\n" not in row.detail for row in skipped.values())


def test_every_odd_file_is_captioned_or_listed_with_the_right_reason(tmp_path: Path) -> None:
    expected = write_odd_directory(tmp_path / "odd")
    assert len(expected) > 180
    check(expected, *outcome(tmp_path / "odd", tmp_path / "w"))


@pytest.mark.parametrize("kind", ["tar", "parquet"])
def test_the_same_inside_an_archive_and_a_table(tmp_path: Path, kind: str) -> None:
    contents = [oddity.content for oddity in EXPECTED.values()]
    if kind == "tar":
        # Names of their own: those of the directory have dots, which part a sample's key from what it is.
        write_tar(tmp_path / "odd/0.tar", [(f"{n:03d}.jpg", content) for n, content in enumerate(contents)])
        ids = [f"0.tar#{n:03d}.jpg" for n in range(len(contents))]
    else:
        write_parquet(tmp_path / "odd/0.parquet", {"image": contents}, group=50)
        ids = [f"0.parquet#row={n:09d}" for n in range(len(contents))]
    # Of a member or a row nothing but the content says what it is.
    plain = (".nef", ".dng")
    for real_id, (name, oddity) in zip(ids, EXPECTED.items(), strict=True):
        locator = f"{tmp_path}/odd/{real_id}"
        if oddity.reason is not None and (Path(name).suffix.lower() not in plain or name == "camera-raw.nef"):
            with pytest.raises(UnusableImageError) as raised:
                read_image(locator, content=fetch(locator))
            assert raised.value.reason == oddity.reason, name
        else:
            facts, _ = read_image(locator, content=fetch(locator))
            assert (facts.format, facts.width, facts.height) == (oddity.facts or ("TIFF", 40, 24)), name
            assert facts.sha256 == hashlib.sha256(oddity.content).hexdigest()


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        *(("plain.jpg", "RGB"), ("grey.jpg", "L"), ("cmyk.jpg", "CMYK"), ("inverted-cmyk.jpg", "CMYK")),
        *(("palette.png", "P"), ("alpha.png", "RGBA"), ("grey-alpha.png", "LA"), ("one-bit.png", "1")),
        *(("sixteen-bit.png", "I;16"), ("float.tif", "F"), ("sixteen-bit-rgb.png", "RGB")),
    ],
)
def test_the_mode_is_that_of_the_file(tmp_path: Path, name: str, mode: str) -> None:
    (tmp_path / name).write_bytes(EXPECTED[name].content)
    assert read_image(tmp_path / name)[0].mode == mode


def test_images_that_libraries_ship_are_read() -> None:
    import skimage
    import sklearn

    folders = [Path(library.__file__).parent for library in (skimage, sklearn)]
    paths = [path for folder in folders for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES]
    assert len(paths) > 10
    refused = {}
    for path in paths:
        try:
            facts, view = read_image(path)
        except UnusableImageError as error:
            refused[path.name] = error.reason
        else:
            assert view.size == (facts.width, facts.height), path
    # Pages whose channels lie one after the other, which Pillow does not know.
    assert set(refused.items()) <= {("multipage_rgb.tif", "not-an-image")}
