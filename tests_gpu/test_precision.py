"""A GPU samples in 16 bits: float16, and bfloat16 where the weights are stored in that."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests_gpu.child import Child, assignment
from tests_gpu.conftest import Record

#: Mean difference of a pixel, of 255, that 16 bits may make to a picture of four steps.
LEVELS = 4.0


@pytest.mark.parametrize(("name", "dtype"), [("tiny", "float16"), ("tiny-flux", "bfloat16")])
def test_images_in_16_bits_are_those_of_32_bits_but_for_rounding(
    name: str, dtype: str, weights: Path, gpu: bool, start: Callable[..., Child], record: Record
) -> None:
    wanted = assignment(weights / name)
    made, reference = start().sample(wanted), start(on="cpu").sample(wanted)
    assert (made.result.status, len(made.images)) == ("done", 8), made.result.detail
    assert {row.dtype for row in made.rows} == {dtype if gpu else "float32"}
    assert {(row.call_size, row.memory) for row in made.rows} == {(4, None)}
    difference = abs(made.pixels - reference.pixels).mean()
    record(f"{dtype}: mean difference to float32 on the CPU ({name})", f"{difference:.2f} of 255")
    assert difference < LEVELS
    assert (made.hashes == reference.hashes) is not gpu


def test_pipelines_as_large_as_people_sample_give_images(
    stable_diffusion: Path, flux: Path, gpu: bool, start: Callable[..., Child]
) -> None:
    child = start()
    for folder, dtype in ((stable_diffusion, "float16"), (flux, "bfloat16")):
        made = child.sample(assignment(folder, images=2, batch=2))
        assert (made.result.status, [row.status for row in made.rows]) == ("done", ["ok", "ok"]), made.result.detail
        assert {row.dtype for row in made.rows} == {dtype if gpu else "float32"}
