"""captioning/selection.py: which images are captioned."""

from pathlib import Path

import pytest

from captioning.selection import select, select_all
from workspace.errors import UsageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for group in "abc":
        (tmp_path / "real" / group).mkdir(parents=True)
        for number in range(20):
            (tmp_path / "real" / group / f"{number}.png").write_bytes(b"x")
    return tmp_path / "real"


def test_without_a_limit_every_image_is_taken(folder: Path) -> None:
    assert len(select(f"x={folder}", None).ids) == 60
    assert select(f"x={folder}", 60).ids == select(f"x={folder}", None).ids


def test_a_limit_takes_the_same_images_everywhere_and_from_everywhere(folder: Path, tmp_path: Path) -> None:
    chosen = select(f"x={folder}", 12).ids
    assert len(set(chosen)) == 12
    assert list(chosen) == sorted(chosen)
    assert {real_id[0] for real_id in chosen} == {"a", "b", "c"}
    moved = folder.rename(tmp_path / "elsewhere")
    assert select(f"x={moved}", 12).ids == chosen
    assert set(chosen) < set(select(f"x={moved}", 13).ids)


def test_a_limit_of_all_takes_from_every_source_by_its_size(folder: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    for number in range(20):
        (small / f"{number}.png").write_bytes(b"x")
    options = [f"large={folder}", f"small={small}"]
    large, few = select_all(options, 40)
    assert len(large.ids) + len(few.ids) == 40
    assert 20 < len(large.ids) < 38
    assert list(large.ids) == sorted(large.ids)
    assert [
        set(smaller.ids) < set(larger.ids)
        for smaller, larger in zip(select_all(options, 20), [large, few], strict=True)
    ] == [
        True,
        True,
    ]
    assert [len(selection.ids) for selection in select_all(options, 80)] == [60, 20]
    assert [len(selection.ids) for selection in select_all(options, None, 30)] == [30, 20]
    assert select_all(options, None, 30)[0].ids == select(options[0], 30).ids
    both = select_all(options, 15, 10)
    assert sum(len(selection.ids) for selection in both) == 15
    assert all(set(one.ids) <= set(ten.ids) for one, ten in zip(both, select_all(options, None, 10), strict=True))


def test_the_digest_is_that_of_the_names(folder: Path) -> None:
    before = select(f"x={folder}", None).digest
    assert select(f"y={folder}", None).digest == before
    (folder / "a/0.png").write_bytes(b"other content")
    assert select(f"x={folder}", None).digest == before
    (folder / "a/0.png").rename(folder / "a/00.png")
    assert select(f"x={folder}", None).digest != before


def test_sources_come_in_the_order_of_their_names_and_each_once(folder: Path) -> None:
    options = [f"b={folder}", f"a={folder}"]
    assert [selection.source.name for selection in select_all(options, None)] == ["a", "b"]
    with pytest.raises(UsageError, match="b is given twice"):
        select_all([*options, f"b={folder}"], None)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("nothing", "NAME=PATH"),
        ("x=", "NAME=PATH"),
        ("=/tmp", "cannot name a real source"),
        ("../x=/tmp", "cannot name a real source"),
        ("x=/no/such/folder", "does not exist"),
        (f"x={__file__}", "is not a folder, and no .tar or .parquet"),
        ("x=hf://nobody", "is not of the form hf://ORG/NAME"),
        ("x=/dev/null", "is not a folder"),
        ("x={folder}/../empty", "holds no images"),
        ("coco={folder}", "does not look like COCO"),
    ],
)
def test_a_wrong_source_is_refused_with_one_line(folder: Path, option: str, said: str) -> None:
    (folder / "../empty").mkdir()
    with pytest.raises(UsageError, match=said) as refused:
        select(option.format(folder=folder), None)
    assert "\n" not in str(refused.value)
    assert "--source" in str(refused.value) or "real source" in str(refused.value)
