"""Damaged and missing files of records are found and named when the manifest is built."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pyarrow.parquet as pq
import pytest

from crawler.catalog import CatalogEntry, read_catalog
from manifests.building import build
from manifests.manifest import manifest_path
from manifests.options import BuildOptions, Verify
from manifests.tables.generators import read_generators
from tests.manifests.checks.damage import (
    PAINTER,
    Damaged,
    Victim,
    assert_left_out,
    assert_others_are_whole,
    part,
    with_victims,
)
from tests.manifests.making import Builder
from tests.scale import scaled
from workspace import records
from workspace.errors import CommunityForensicsError
from workspace.layout import Workspace

# The files of a generator's records.
OF_ONE_GENERATOR: dict[str, tuple[Callable[[Workspace, str], object], str]] = {
    "truncated part": (
        lambda w, name: part(w, name).write_bytes(part(w, name).read_bytes()[:-1]),
        r"1 file is damaged: \S*/samples/org--painter/part-00000.parquet \(run `cf-sample --verify full` with",
    ),
    "empty part": (lambda w, name: part(w, name).write_bytes(b""), r"1 file is damaged: \S*part-00000.parquet"),
    # An encoding in the header of a page, which only DuckDB looks at.
    "a part that DuckDB cannot read": (
        lambda w, name: change(part(w, name), b"\x15\x06\x15\x06\x1c", b"\x15\x06\x15\x02\x1c"),
        r"1 file is damaged: \S*part-00000.parquet",
    ),
    "a changed letter of a name": (
        lambda w, name: change(part(w, name), b"call_size", b"call_sizf"),
        r"1 file is damaged: \S*part-00000.parquet",
    ),
    "missing part": (
        lambda w, name: part(w, name).unlink(),
        r"1 file is missing: \S*/samples/org--painter/part-00000.parquet \(run `cf-sample --verify full` with",
    ),
    "not in the catalogue": (
        lambda w, name: recrawl(w, lambda rows: [row for row in rows if row.model_name != name]),
        r"1 generator was sampled at a revision that the catalogue does not have: org/painter@",
    ),
    "a newer revision in the catalogue": (
        lambda w, name: recrawl(
            w, lambda rows: [another_revision(row) if row.model_name == name else row for row in rows]
        ),
        r"1 generator was sampled at a revision that the catalogue does not have: \S+ \(restore the catalogue",
    ),
}


def another_revision(row: CatalogEntry) -> CatalogEntry:
    return replace(row, revision=row.revision[::-1])


def change(path: Path, before: bytes, after: bytes) -> None:
    content = path.read_bytes()
    assert before in content
    path.write_bytes(content.replace(before, after))


def recrawl(workspace: Workspace, change: Callable[[list[CatalogEntry]], list[CatalogEntry]]) -> None:
    records.write(workspace.catalog, CatalogEntry, change(read_catalog(workspace)))


# How files of images are verified changes nothing for records: both ways with `make soak`.
@pytest.fixture(scope="module", params=scaled(["quick"], [*get_args(Verify)]))
def damaged_records(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Damaged:
    """The same with `OF_ONE_GENERATOR`."""
    builder, victims = with_victims(tmp_path_factory.mktemp("records"), OF_ONE_GENERATOR)
    workspace = builder.write()
    for damage, victim in victims.items():
        OF_ONE_GENERATOR[damage][0](workspace, victim.name)
    return build(workspace, BuildOptions(verify=request.param)), victims


@pytest.mark.parametrize("damage", OF_ONE_GENERATOR)
def test_a_damaged_file_of_records_is_found_and_named(damaged_records: Damaged, damage: str) -> None:
    built, victims = damaged_records
    assert_left_out(built, victims[damage], OF_ONE_GENERATOR[damage][1])


def test_damaged_records_cost_no_other_generator(damaged_records: Damaged) -> None:
    built, victims = damaged_records
    assert len(built.damaged) == len(victims)
    assert_others_are_whole(built, victims["missing part"].builder.workspace)


#: With `make soak` each of the others alone too.
ALONE = ("a part that DuckDB cannot read",)


@pytest.mark.parametrize("damage", scaled(ALONE, tuple(OF_ONE_GENERATOR)))
def test_a_damaged_file_of_records_alone_costs_one_generator(filled: Builder, damage: str) -> None:
    plant, message = OF_ONE_GENERATOR[damage]
    plant(filled.write(), PAINTER)
    built = build(filled.workspace)
    assert_left_out(built, Victim(filled), message)
    assert built.kept == 13


def test_an_outcome_that_cannot_be_read_is_named_and_the_generators_images_are_kept(filled: Builder) -> None:
    workspace = filled.write()
    workspace.outcome_of(PAINTER).write_bytes(b"{")
    built = build(workspace)
    (line,) = built.damaged
    assert "outcomes/org--painter.json is damaged" in line
    assert "remove it" in line
    assert built.kept == 22
    (row,) = (row for row in read_generators(workspace) if row.model_name == PAINTER)
    assert (row.outcome, row.kept) == (None, 9)


RECORD_FILES = {
    "catalog.parquet": r"1 file is damaged: \S*/catalog.parquet \(restore catalog.parquet .* run `cf-crawl` again",
    "prompts/photos/part-00000.parquet": r"1 file is damaged: \S*/prompts/photos/part-00000.parquet \(run `cf-caption` "
    "again with the same options: it makes the same file",
}


@pytest.mark.parametrize("verify", scaled(["quick"], [*get_args(Verify)]))
@pytest.mark.parametrize("file", RECORD_FILES)
def test_without_catalogue_or_prompts_nothing_is_built_and_the_line_says_what_makes_them_again(
    filled: Builder, file: str, verify: Verify
) -> None:
    path = filled.write().root / file
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CommunityForensicsError, match=RECORD_FILES[file]):
        build(filled.workspace, BuildOptions(verify=verify))
    assert not list(filled.workspace.manifest.glob("*"))


PARTS = ("samples/org--painter/part-00000.parquet", "prompts/photos/part-00000.parquet", "catalog.parquet")


@pytest.mark.parametrize("part", PARTS)
def test_a_byte_that_changed_in_a_record_is_found_or_changes_nothing(filled: Builder, part: str) -> None:
    """Some bytes of a Parquet file belong to no row: those of the columns' documentation."""
    workspace = filled.write()
    build(workspace)
    right, content = manifest_path(workspace).read_bytes(), (workspace.root / part).read_bytes()
    noticed, bytes_changed = [], scaled(2, 400)
    for seed in range(bytes_changed):
        damaged, chance = bytearray(content), random.Random(seed)
        damaged[chance.randrange(len(damaged))] ^= chance.randrange(1, 256)
        (workspace.root / part).write_bytes(damaged)
        try:
            built = build(workspace, BuildOptions(verify=chance.choice(get_args(Verify))))
        except CommunityForensicsError as error:
            noticed.append(str(error))
        else:
            noticed += built.damaged
            if built.damaged:
                assert built.kept == 13
                continue
        assert built_again(workspace, right, part)
    assert len(noticed) > bytes_changed / 4
    assert all(part in said or "another version" in said or "cannot be joined" in said for said in noticed)
    assert not part.startswith("samples/") or all("org/painter is left out" in said for said in noticed)


def built_again(workspace: Workspace, right: bytes, part: str) -> bool:
    """Whether the manifest is the right one, or, for a sample part, the one that lacks its generator."""
    rows = pq.read_metadata(manifest_path(workspace)).num_rows
    return manifest_path(workspace).read_bytes() == right or (part.startswith("samples/") and rows == 13 + 9)
