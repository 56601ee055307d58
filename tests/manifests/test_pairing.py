"""Pairs of generated and real images, of random sets of both."""

import hashlib

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.pairing import pair


def sha256(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


SOURCES = st.sampled_from(["coco", "ffhq"])
SIDES = st.sampled_from([16, 24, 64])
#: Of a real image: its source and size. Of a generated one: its group, the number of its real image, source, size.
REAL = st.lists(st.tuples(SOURCES, SIDES, SIDES), max_size=12)
GENERATED = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 14) | st.none(), SOURCES | st.none(), SIDES, SIDES), max_size=30
).map(lambda rows: sorted(rows, key=lambda row: row[0]))


def real_table(rows: list[tuple[str, int, int]], rounds: list[int]) -> pa.Table:
    return pa.table(
        {
            "round": pa.array(rounds, pa.int32()),
            "sha256": pa.array([sha256(number) for number in range(len(rows))], pa.string()),
            "real_source": pa.array([row[0] for row in rows], pa.string()),
            "width": pa.array([row[1] for row in rows], pa.int32()),
            "height": pa.array([row[2] for row in rows], pa.int32()),
        }
    )


def pairs_of(
    generated: list[tuple[str, int | None, str | None, int, int]],
    real: list[tuple[str, int, int]],
    rounds: tuple[list[int], list[int]] | None = None,
    last: int = 1,
) -> list[int]:
    """The number of the real image of each generated one, of rounds up to `last`."""
    of_generated, of_real = rounds or ([1] * len(generated), [1] * len(real))
    table = pa.table(
        {
            "round": pa.array(of_generated, pa.int32()),
            "real_sha256": pa.array([None if row[1] is None else sha256(row[1]) for row in generated], pa.string()),
            "real_source": pa.array([row[2] for row in generated], pa.string()),
            "width": pa.array([row[3] for row in generated], pa.int32()),
            "height": pa.array([row[4] for row in generated], pa.int32()),
        }
    )
    kept, there = ([at for at, made_in in enumerate(each) if made_in <= last] for each in (of_generated, of_real))
    groups = pa.array([generated[at][0] for at in kept], pa.string())
    found = pair(
        groups, table.take(pa.array(kept, pa.int64())), real_table(real, of_real).take(pa.array(there, pa.int64()))
    )
    return [there[at] if at >= 0 else -1 for at in found.tolist()]


@settings(max_examples=50)
@given(GENERATED, REAL)
def test_a_group_has_each_real_image_once_and_its_own_first(
    generated: list[tuple[str, int | None, str | None, int, int]], real: list[tuple[str, int, int]]
) -> None:
    pairs = pairs_of(generated, real)
    for group in {row[0] for row in generated}:
        of_group = [(row, found) for row, found in zip(generated, pairs, strict=True) if row[0] == group]
        used = [found for _, found in of_group if found >= 0]
        assert len(used) == len(set(used)) == min(len(of_group), len(real))
        prompts = {row[1] for row, _ in of_group if row[1] is not None and row[1] < len(real)}
        assert prompts <= set(used)
        seen: set[int] = set()
        for row, found in of_group:
            own = row[1] if row[1] is not None and row[1] < len(real) else None
            if own is not None and own not in seen:
                assert found == own
                seen.add(own)
            elif found >= 0 and row[2] is not None and real[found][0] != row[2]:
                # Only where its own source has none left.
                assert all(number in used for number, other in enumerate(real) if other[0] == row[2])
    # Other groups change nothing.
    first = [row for row in generated if row[0] == "a"]
    assert pairs_of(first, real) == pairs[: len(first)]


@settings(max_examples=50)
@given(GENERATED, REAL, st.data())
def test_a_later_round_changes_no_pair(
    generated: list[tuple[str, int | None, str | None, int, int]], real: list[tuple[str, int, int]], data: st.DataObject
) -> None:
    numbers = (st.lists(st.integers(1, 3), min_size=len(rows), max_size=len(rows)) for rows in (generated, real))
    rounds = data.draw(st.tuples(*numbers))
    pairs = pairs_of(generated, real, rounds, 3)
    assert all(found < 0 or rounds[1][found] <= made_in for found, made_in in zip(pairs, rounds[0], strict=True))
    for last in (1, 2):
        of_rounds = [found for found, made_in in zip(pairs, rounds[0], strict=True) if made_in <= last]
        assert pairs_of(generated, real, rounds, last) == of_rounds


def test_without_an_own_image_the_nearest_size_of_the_same_source_is_taken() -> None:
    real = [("ffhq", 60, 60), ("coco", 500, 500), ("coco", 70, 50), ("coco", 63, 66)]
    assert pairs_of([("a", None, "coco", 64, 64)], real) == [3]
    assert pairs_of([("a", 1, "coco", 64, 64), ("a", 1, "coco", 64, 64)], real) == [1, 3]
    assert pairs_of([("a", None, None, 64, 64)], real) == [3]
    assert pairs_of([("a", None, "ffhq", 64, 64), ("a", None, "ffhq", 64, 64)], real) == [0, 3]


def test_generators_without_prompts_do_not_all_get_the_same_images() -> None:
    real = [("coco", 64, 64)] * 200
    chosen = {tuple(pairs_of([(f"org/{name}", None, None, 64, 64)] * 5, real)) for name in range(8)}
    assert len(chosen) == 8


def test_no_real_image_is_no_pair() -> None:
    assert pairs_of([("a", 0, "coco", 1, 1)], []) == [-1]
