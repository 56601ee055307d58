"""captioning/selection.py: which images are captioned."""

import hashlib
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


@pytest.fixture
def small(tmp_path: Path) -> Path:
    (tmp_path / "small").mkdir()
    for number in range(20):
        (tmp_path / "small" / f"{number}.png").write_bytes(b"x")
    return tmp_path / "small"


def rank(source: str, real_id: str) -> str:
    """As docs/captioning.md promises: a hash of the source's name and the image's."""
    return hashlib.sha256(f"{source}/{real_id}".encode()).hexdigest()


def test_without_a_limit_every_image_is_selected(folder: Path) -> None:
    assert len(select("x", folder).ids) == 60
    assert select("x", folder, 60).ids == select("x", folder, 61).ids == select("x", str(folder)).ids


def test_a_limit_selects_the_same_images_on_every_machine_from_the_whole_source(folder: Path, tmp_path: Path) -> None:
    chosen = select("x", folder, 12).ids
    assert len(set(chosen)) == 12
    assert list(chosen) == sorted(chosen)
    assert {real_id[0] for real_id in chosen} == {"a", "b", "c"}
    moved = folder.rename(tmp_path / "elsewhere")
    assert select("x", moved, 12).ids == chosen
    assert set(chosen) < set(select("x", moved, 13).ids)


def test_the_lowest_ranks_of_each_source_and_of_all_are_selected(folder: Path, small: Path) -> None:
    every = list(select("x", folder).ids)
    assert list(select("x", folder, 12).ids) == sorted(sorted(every, key=lambda real_id: rank("x", real_id))[:12])
    pairs = [("x", real_id) for real_id in every] + [("y", real_id) for real_id in select("y", small).ids]
    lowest = sorted(sorted(pairs, key=lambda pair: rank(*pair))[:25])
    selections = select_all({"y": small, "x": folder}, 25)
    assert [(each.source.name, real_id) for each in selections for real_id in each.ids] == lowest


def test_a_limit_of_all_selects_from_every_source_by_its_size(folder: Path, small: Path) -> None:
    sources = {"large": folder, "small": small}
    large, few = select_all(sources, 40)
    assert len(large.ids) + len(few.ids) == 40
    assert 20 < len(large.ids) < 38
    assert list(large.ids) == sorted(large.ids)
    assert all(set(a.ids) < set(b.ids) for a, b in zip(select_all(sources, 20), [large, few], strict=True))
    assert [len(selection.ids) for selection in select_all(sources, 80)] == [60, 20]
    assert [len(selection.ids) for selection in select_all(sources, None, 30)] == [30, 20]
    assert select_all(sources, None, 30)[0].ids == select("large", folder, 30).ids
    both = select_all(sources, 15, 10)
    assert sum(len(selection.ids) for selection in both) == 15
    assert all(set(one.ids) <= set(ten.ids) for one, ten in zip(both, select_all(sources, None, 10), strict=True))


def test_the_digest_depends_on_the_names_only(folder: Path) -> None:
    before = select("x", folder).digest
    assert select("y", folder).digest == before
    (folder / "a/0.png").write_bytes(b"other content")
    assert select("x", folder).digest == before
    (folder / "a/0.png").rename(folder / "a/00.png")
    assert select("x", folder).digest != before


def test_the_digest_separates_names(tmp_path: Path) -> None:
    digests = set()
    for number, names in enumerate((["a.png", "b.png"], ["a.pngb.png"])):
        for name in names:
            path = tmp_path / str(number) / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"x")
        digests.add(select("x", tmp_path / str(number)).digest)
    assert len(digests) == 2


def test_sources_come_in_the_order_of_their_names(folder: Path) -> None:
    assert [selection.source.name for selection in select_all({"b": folder, "a": folder})] == ["a", "b"]


def test_a_source_under_two_spellings_of_a_known_name_is_refused(folder: Path, small: Path) -> None:
    with pytest.raises(UsageError, match="--source laion is duplicated"):
        select_all({"LAION": folder, "laion": small})


def test_no_source_is_refused() -> None:
    with pytest.raises(UsageError, match="no source of real images is given"):
        select_all({})


@pytest.mark.parametrize(
    ("name", "path", "message"),
    [
        ("", "/tmp", "cannot name a real source"),
        ("../x", "/tmp", "cannot name a real source"),
        ("x", "/no/such/folder", "does not exist"),
        ("x", __file__, "is neither a folder nor a .tar or .parquet file"),
        ("x", "hf://nobody", "is not of the form hf://ORG/NAME"),
        ("x", "/dev/null", "is neither a folder"),
        ("x", "{folder}/../empty", "holds no images"),
        ("coco", "{folder}", "does not look like COCO"),
    ],
)
def test_a_wrong_source_is_refused_with_one_line(folder: Path, name: str, path: str, message: str) -> None:
    (folder / "../empty").mkdir()
    with pytest.raises(UsageError, match=message) as refused:
        select(name, path.format(folder=folder))
    assert "\n" not in str(refused.value)
    assert "--source" in str(refused.value) or "real source" in str(refused.value)


def test_a_path_that_leads_nowhere_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    for name in ("x", "coco"):
        for path in (tmp_path / "a", "~a-user-that-there-is-not/photos"):
            with pytest.raises(UsageError, match=rf"--source {name}: .* leads nowhere") as refused:
                select(name, path)
            assert "\n" not in str(refused.value)
