"""Real shortages of a GPU's memory: another process leaves so little that one step after the other is needed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests_gpu.child import Child, assignment
from tests_gpu.conftest import Record
from tests_gpu.memory import free_bytes, leaving, most_needed

BATCH = 8


@pytest.fixture(scope="module")
def overhead(weights: Path, device: str, tmp_path_factory: pytest.TempPathFactory, record: Record) -> int:
    """Bytes that a sampling process has beside its generator: CUDA, its libraries' kernels, the safety checker."""
    before = free_bytes()
    child = Child(weights, device, tmp_path_factory.mktemp("overhead") / "child")
    child.sample(assignment(weights / "tiny"))
    taken = before - free_bytes()
    child.close()
    record("GPU memory of a sampling process beside its generator", f"{taken / 1e9:.2f} GB")
    return taken


def test_calls_are_halved(
    stable_diffusion: Path, overhead: int, device: str, gpu: bool, start: Callable[..., Child], record: Record
) -> None:
    one, all_of_them = (most_needed(stable_diffusion, device, batch) for batch in (1, BATCH))
    with leaving(overhead + (one + all_of_them) // 2, device):
        made = start().sample(assignment(stable_diffusion, images=2 * BATCH, batch=BATCH))
    assert (made.result.status, len(made.rows)) == ("done", 2 * BATCH), made.result
    sizes = sorted({int(row.call_size or 0) for row in made.rows}, reverse=True)
    record(f"batch of {BATCH} with half of what it needs more than one image", f"calls of {sizes}")
    if gpu:
        assert BATCH > sizes[0] >= 1
        # The step that was needed holds for all further images.
        assert len(sizes) == 1


def test_models_wait_in_the_machines_memory(
    flux: Path, overhead: int, device: str, gpu: bool, start: Callable[..., Child], record: Record
) -> None:
    size = {"height": 512, "width": 512} if gpu else {}
    waiting = most_needed(flux, device, 1, offload=True, **size)
    usual = most_needed(flux, device, 1, **size)
    expected = start().sample(assignment(flux, images=2, batch=1, **size))
    with leaving(overhead + (waiting + usual) // 2, device):
        made = start().sample(assignment(flux, images=2, batch=1, **size))
    assert (made.result.status, made.hashes) == ("done", expected.hashes), made.result
    record("offload: time against all on the GPU", f"{made.seconds / expected.seconds:.1f} times")
    if gpu:
        assert {row.memory for row in made.rows} == {"offload"}


def test_what_does_not_fit_in_any_way_costs_that_generator_only(
    flux: Path, weights: Path, overhead: int, device: str, gpu: bool, start: Callable[..., Child]
) -> None:
    child = start()
    waiting = most_needed(flux, device, 1, offload=True)
    with leaving(overhead + waiting // 3, device):
        made = child.sample(assignment(flux, images=1, batch=1))
        if gpu:
            assert made.result.status == "out-of-memory", made.result
        # While memory is still short.
        assert child.sample(assignment(weights / "tiny")).result.status == "done"
