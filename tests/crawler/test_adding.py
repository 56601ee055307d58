from dataclasses import replace

import pytest

from crawler.adding import Added, add
from crawler.catalog import CatalogEntry, Program, read_catalog
from tests.records import catalog_entry
from workspace import recipe, records
from workspace.errors import UsageError
from workspace.layout import Workspace, part_name
from workspace.removed import Removals, Removed, generator_key, write_removals

OWN, OTHER = "manual/own", "manual/other"


@pytest.fixture
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace.open(tmp_path_factory.mktemp("workspace"))


def _entry(name: str = OWN, digit: str = "a", **changes: object) -> CatalogEntry:
    row = catalog_entry(name, revision=digit * 64, subset="Manual", program=Program(format="onnx", file="m.onnx"))
    return replace(row, license_chain=(f"{name}: none given",), **changes)  # type: ignore[arg-type]


def _with_a_sampled_round(workspace: Workspace) -> None:
    recipe.pin(workspace, "sample", {"images": 4})


def _by_name(workspace: Workspace) -> dict[str, CatalogEntry]:
    return {row.generator: row for row in read_catalog(workspace)}


def test_rows_are_added_after_those_that_are_there_which_stay(workspace: Workspace) -> None:
    crawled = [_of_the_hub(f"org/m{number}", number) for number in (1, 2)]
    records.write(workspace.catalog, CatalogEntry, crawled)
    added = add(workspace, [_entry(), _entry(OTHER)])
    assert (added.new, added.round) == ((OWN, OTHER), 1)
    rows = read_catalog(workspace)
    assert rows[:2] == crawled
    assert [(row.model_name, row.rank, row.round) for row in rows[2:]] == [(OWN, 3, 1), (OTHER, 4, 1)]
    assert rows[2].program == Program(format="onnx", file="m.onnx")
    assert recipe.read(workspace)["add"] == {"generators": {OWN: "a" * 64, OTHER: "a" * 64}}


def test_what_is_there_already_is_not_added_again(workspace: Workspace) -> None:
    add(workspace, [_entry()])
    before = workspace.catalog.stat().st_mtime_ns, workspace.recipe.read_bytes()
    assert add(workspace, [replace(_entry(), crawled_at="2027-01-01T00:00:00Z")]) == Added(
        tuple(read_catalog(workspace)), (), None
    )
    assert (workspace.catalog.stat().st_mtime_ns, workspace.recipe.read_bytes()) == before


def test_a_row_that_was_not_sampled_is_replaced_and_keeps_its_place(workspace: Workspace) -> None:
    add(workspace, [_entry(), _entry(OTHER)])
    add(workspace, [_entry(digit="b")])
    assert [(row.model_name, row.revision, row.rank) for row in read_catalog(workspace)] == [
        (OWN, "b" * 64, 1),
        (OTHER, "a" * 64, 2),
    ]
    assert recipe.read(workspace)["add"]["generators"] == {OWN: "b" * 64, OTHER: "a" * 64}


def test_a_sampled_workspace_gets_new_generators_in_another_round_that_must_be_asked_for(workspace: Workspace) -> None:
    add(workspace, [_entry()])
    _with_a_sampled_round(workspace)
    before = workspace.catalog.read_bytes(), workspace.recipe.read_bytes()
    with pytest.raises(UsageError, match=f"{OTHER} is new, or has another revision.*--update"):
        add(workspace, [_entry(OTHER)])
    assert (workspace.catalog.read_bytes(), workspace.recipe.read_bytes()) == before
    assert add(workspace, [_entry(OTHER)], update=True).round == 2
    assert {name: row.round for name, row in _by_name(workspace).items()} == {OWN: 1, OTHER: 2}
    assert recipe.rounds(workspace)[1].tables == {"add": {"generators": {OTHER: "a" * 64}}}
    # The round is open: what is added now belongs to it.
    assert add(workspace, [_entry("manual/third")]).round == 2


def test_a_sampled_generator_keeps_its_row_and_a_new_revision_is_a_further_one(workspace: Workspace) -> None:
    add(workspace, [_entry()])
    _with_a_sampled_round(workspace)
    with pytest.raises(UsageError, match="described in another way"):
        add(workspace, [_entry(license="mit")], update=True)
    added = add(workspace, [_entry(digit="b")], update=True)
    assert added.new == (f"{OWN}@{'b' * 12}",)
    rows = read_catalog(workspace)
    assert [(row.revision[0], row.round, row.last_round, row.further_revision) for row in rows] == [
        ("a", 1, None, False),
        ("b", 2, None, True),
    ]
    assert {row.rank for row in rows} == {1}


def test_other_files_of_an_imported_generator_are_a_further_revision(workspace: Workspace) -> None:
    imported = {"status": "incompatible", "reason": "imported", "program": None}
    add(workspace, [_entry(**imported)])
    _with_a_sampled_round(workspace)
    records.write(workspace.samples_of(OWN) / part_name(0), CatalogEntry, [])
    added = add(workspace, [_entry(digit="b", **imported)], update=True)
    assert added.new == (f"{OWN}@{'b' * 12}",)
    assert [(row.revision[0], row.round) for row in read_catalog(workspace)] == [("a", 1), ("b", 2)]


def test_a_new_revision_may_take_the_place_of_the_former_one(workspace: Workspace) -> None:
    add(workspace, [_entry()])
    _with_a_sampled_round(workspace)
    add(workspace, [_entry(digit="b")], update=True, replace_revisions=True)
    assert [row.last_round for row in read_catalog(workspace)] == [1, None]


def test_a_name_of_a_model_of_the_hub_a_removed_one_and_one_given_twice_are_refused(workspace: Workspace) -> None:
    records.write(workspace.catalog, CatalogEntry, [_of_the_hub(OWN, 1)])
    with pytest.raises(UsageError, match=f"{OWN} is a model of the Hub in this catalogue"):
        add(workspace, [_entry()])
    with pytest.raises(UsageError, match=f"{OTHER} is named twice"):
        add(workspace, [_entry(OTHER), _entry(OTHER, "b")])
    row = Removed(what="generator", key=generator_key(OTHER), reason="licence", day="2026-01-01")
    write_removals(workspace, Removals([row]))
    with pytest.raises(UsageError, match=f"{OTHER} was removed from this workspace .*licence, 2026-01-01"):
        add(workspace, [_entry(OTHER)])


def test_licence_and_ancestors_are_those_of_the_whole_catalogue(workspace: Workspace) -> None:
    base = _of_the_hub("org/base", 1, license="mit", license_family="open", license_source="card", base_model="org/a")
    records.write(workspace.catalog, CatalogEntry, [base])
    add(workspace, [_entry(base_model="org/base")])
    row = _by_name(workspace)[OWN]
    assert row.lineage == ("org/base", "org/a")
    assert row.license_chain[1] == "org/base: mit"


def _of_the_hub(name: str, rank: int, **changes: object) -> CatalogEntry:
    endpoint = "https://huggingface.co"
    row = catalog_entry(name, rank=rank, endpoint=endpoint, license_chain=(f"{name}: none given",))
    return replace(row, license_effective=None, **changes)  # type: ignore[arg-type]
