"""An image is the same in every run on one kind of device: whoever makes it, and whatever was sampled before."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests_gpu.child import Child, assignment
from tests_gpu.conftest import Record

#: Mean difference of a pixel, of 255, between an image that is sampled alone and in a batch: other sums, other bits.
LEVELS = 4.0


@pytest.fixture(params=["stable_diffusion", "flux"])
def folder(request: pytest.FixtureRequest) -> Path:
    return Path(request.getfixturevalue(request.param))


def test_two_runs_give_the_same_bytes(folder: Path, start: Callable[..., Child]) -> None:
    wanted = assignment(folder, images=6, batch=2)
    first, second = start().sample(wanted), start().sample(wanted)
    assert first.hashes == second.hashes
    assert None not in first.hashes
    assert first.rows == second.rows


def test_a_run_that_is_continued_gives_the_bytes_of_one_that_was_not_interrupted(
    folder: Path, start: Callable[..., Child]
) -> None:
    whole = start().sample(assignment(folder, images=6, batch=2))
    rest = start().sample(assignment(folder, images=6, batch=2, first=2))
    assert whole.hashes[2:] == rest.hashes


def test_what_was_sampled_before_changes_nothing(folder: Path, weights: Path, start: Callable[..., Child]) -> None:
    wanted = assignment(folder, images=2, batch=2)
    alone = start().sample(wanted)
    child = start()
    for other in ("tiny", "tiny-flux"):
        assert child.sample(assignment(weights / other)).result.status == "done"
    assert child.sample(wanted).hashes == alone.hashes


def test_an_image_alone_is_that_of_a_batch_but_for_rounding(
    folder: Path, start: Callable[..., Child], record: Record
) -> None:
    wanted = assignment(folder, images=4, batch=4)
    child = start()
    together, alone = child.sample(wanted), child.sample(replace(wanted, call_size=1))
    assert [{row.call_size for row in made.rows} for made in (together, alone)] == [{4}, {1}]
    difference = abs(together.pixels - alone.pixels).mean()
    equal = sum(one == other for one, other in zip(together.hashes, alone.hashes, strict=True))
    record(
        f"a batch of 4 against single calls ({folder.name})",
        f"{equal} of 4 bit-equal, mean difference {difference:.2f}",
    )
    assert difference < LEVELS
