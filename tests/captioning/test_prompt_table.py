"""The table has what the prompts have, also from a file that is mapped."""

import hashlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.prompt import Prompt, read_prompts
from captioning.prompt_table import PromptTable, PromptText
from captioning.removed_prompts import RemovedPrompt, separated, write_removed
from tests.records import prompt
from workspace import records
from workspace.errors import UsageError
from workspace.layout import Workspace, part_name
from workspace.removed import Removals, Removed, real_key

PROMPTS = st.lists(
    st.builds(
        prompt,
        st.sampled_from(["coco", "art"]),
        st.integers(0, 9),
        st.text(alphabet=st.characters(codec="utf-8"), max_size=9),
        weight=st.none() | st.floats(0, 9),
        round=st.integers(1, 3),
        real_sha256=st.none() | st.just("a" * 64),
    ),
    max_size=6,
)


def as_text(one: Prompt) -> PromptText:
    return PromptText(
        prompt_id=one.prompt_id,
        prompt=one.prompt,
        weight=one.weight,
        real_source=one.real_source,
        real_sha256=one.real_sha256,
    )


@given(PROMPTS)
def test_every_row_is_its_prompt(prompts: list[Prompt]) -> None:
    table = PromptTable.of(prompts)
    assert [table[row] for row in range(len(table))] == [as_text(one) for one in prompts]
    assert [(row.prompt, row.round) for row in table.rows()] == [(one.prompt, one.round) for one in prompts]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Three parts of two sources; of the second part one prompt is removed."""
    workspace = Workspace.open(tmp_path / "w")
    gone = hashlib.sha256(b"gone").hexdigest()
    removals = Removals([Removed(what="real-image", key=real_key(gone), reason="privacy", day="2026-11-30")])
    for source, part, numbers in (("art", 0, range(3)), ("coco", 0, range(4)), ("coco", 1, range(4, 6))):
        rows = [
            prompt(source, number, f"{source} {number}", round=1 + part, real_sha256=gone if number == 1 else "b" * 64)
            for number in numbers
        ]
        kept, removed = separated(rows, removals) if source == "coco" else (rows, [])
        path = workspace.prompts_of(source) / part_name(part)
        write_removed(path, removed)
        records.write(path, Prompt, kept)
    return workspace


def test_the_table_of_a_workspace_has_all_parts_and_the_places_of_removed_prompts(workspace: Workspace) -> None:
    table = PromptTable.read(workspace)
    assert len(table) == 9
    assert table.former_version is None
    assert [type(table[row]) for row in range(3, 7)] == [PromptText, RemovedPrompt, PromptText, PromptText]
    there = [one for one in map(table.__getitem__, range(9)) if isinstance(one, PromptText)]
    assert there == [as_text(one) for one in read_prompts(workspace)]


def test_a_mapped_table_has_the_same_rows_and_takes_no_memory_of_its_own(workspace: Workspace, tmp_path: Path) -> None:
    table = PromptTable.read(workspace)
    table.saved(tmp_path / "prompts.arrow")
    before = pa.total_allocated_bytes()
    mapped = PromptTable.mapped(tmp_path / "prompts.arrow")
    assert pa.total_allocated_bytes() - before < 64
    assert [mapped[row] for row in range(9)] == [table[row] for row in range(9)]
    assert list(mapped.rows()) == list(table.rows())


def test_a_part_of_a_former_version_has_the_defaults_of_what_it_lacks(workspace: Workspace) -> None:
    path = workspace.prompts_of("art") / part_name(0)
    pq.write_table(pq.ParquetFile(path).read().drop_columns(["weight", "round"]), path)
    table = PromptTable.read(workspace)
    assert [(row.weight, row.round) for row in table.rows()][:3] == [(None, 1)] * 3
    assert str(table.former_version).startswith(
        "prompts of art were written by a former version, without the columns round, weight: they are sampled as they "
        "were then (each with weight 1, all in round 1)"
    )


def test_a_damaged_part_is_refused_with_what_to_do(workspace: Workspace) -> None:
    path = workspace.prompts_of("art") / part_name(0)
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"art/part-00000.parquet .*run `cf-caption` again"):
        PromptTable.read(workspace)


def test_a_workspace_without_prompts_has_an_empty_table(tmp_path: Path) -> None:
    table = PromptTable.read(Workspace.open(tmp_path))
    assert (len(table), list(table.rows())) == (0, [])
