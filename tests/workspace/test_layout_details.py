"""Files are where the documentation says: workspaces outlive releases, and other tools read them."""

from pathlib import Path

import pytest

from workspace.errors import UsageError
from workspace.layout import (
    Workspace,
    checked_source,
    generator_folder,
    generator_of,
    part_name,
    parts_below,
    parts_in,
)

ROOT = Path("/data/workspace")
PLACES = {
    "recipe": "recipe.toml",
    "catalog": "catalog.parquet",
    "prompts": "prompts",
    "samples": "samples",
    "images": "images",
    "outcomes": "outcomes",
    "manifest": "manifest",
    "report": "report",
    "logs": "logs",
}


@pytest.mark.parametrize(("name", "place"), PLACES.items())
def test_every_file_and_folder_has_its_place(name: str, place: str) -> None:
    assert getattr(Workspace(ROOT), name) == ROOT / place


def test_every_generator_and_real_source_has_its_places() -> None:
    workspace = Workspace(ROOT)
    assert workspace.prompts_of("coco") == ROOT / "prompts/coco"
    assert workspace.real_of("coco") == ROOT / "real/coco"
    assert workspace.samples_of("org/name") == ROOT / "samples/org--name"
    assert workspace.images_of("org/name") == ROOT / "images/org--name"
    assert workspace.outcome_of("org/name") == ROOT / "outcomes/org--name.json"


@pytest.mark.parametrize("model_name", ["org/name", "gpt2", "org/a-b_c.d", "a-b/c"])
def test_a_folder_tells_its_generator(model_name: str) -> None:
    assert generator_of(generator_folder(model_name)) == model_name


def test_parts_are_numbered_from_zero_with_five_digits() -> None:
    assert [part_name(number) for number in (0, 42, 99_999)] == [
        "part-00000.parquet",
        "part-00042.parquet",
        "part-99999.parquet",
    ]


def test_parts_come_in_order_and_nothing_else_is_one(tmp_path: Path) -> None:
    paths = [tmp_path / source / part_name(number) for number in (11, 2, 0, 7, 1) for source in ("b", "a")]
    others = [tmp_path / "a" / name for name in (".part-00003.parquet.0123abcd.partial", "skipped.parquet", "part.txt")]
    for path in [*paths, *others, tmp_path / part_name(5)]:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    in_a, in_b = ([tmp_path / source / part_name(number) for number in (0, 1, 2, 7, 11)] for source in "ab")
    assert parts_in(tmp_path / "a") == in_a
    assert parts_below(tmp_path) == [*in_a, *in_b]
    assert parts_in(tmp_path / "absent") == parts_below(tmp_path / "absent") == []


def test_opening_makes_the_folder_and_takes_one_that_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        workspace = Workspace.open(Path("a/b/../workspace"))
        assert workspace.root == tmp_path / "a" / "workspace"
        assert workspace.root.is_dir()


@pytest.mark.parametrize("name", ["a", "0", "A.b_c-d", "x" * 64])
def test_names_of_real_sources(name: str) -> None:
    assert checked_source(name) == name


@pytest.mark.parametrize("name", ["", "x" * 65, "a..b", ".a", "-a", "_a", "a b", "a/b", "é", "a\n"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="real source"):
        checked_source(name)


def test_generators_that_have_begun_are_those_with_rows_or_an_outcome(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path)
    assert workspace.begun() == frozenset()
    workspace.samples_of("org/rows").mkdir(parents=True)
    workspace.samples_of("org/rows@0123456789ab").mkdir()
    workspace.outcomes.mkdir()
    for name in ("org/failed", "gpt2", "org/rows"):
        workspace.outcome_of(name).touch()
    assert workspace.begun() == {"org/rows", "org/rows@0123456789ab", "org/failed", "gpt2"}
