"""Memory does not grow with the number of generators."""

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from safetensors.torch import load_file, save_file

from localhub.store import Store
from samplers.options import SampleOptions
from tests.samplers.inputs import build, entry_of
from tests.samplers.processes import start, under_fork_server
from tests.scale import scaled
from workspace.layout import Workspace

GENERATORS = scaled(16, 100)
#: After so many generators memory is as large as it gets.
SETTLED = 10
#: How much larger it may be in the end: the promise.
GROWTH = 1.10


def _finetunes(store: Store, folder: Path) -> list[str]:
    """Repositories that differ from each other in their UNet."""
    from demo.zoo.stable_diffusion import base_unet, pipeline

    pipeline(base_unet()).save_pretrained(folder)
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(weights)
    names = [f"tests/flat-{number:03}" for number in range(GENERATORS)]
    for number, name in enumerate(names):
        tensors["conv_out.bias"] = tensors["conv_out.bias"] + 0.001 * number
        save_file(tensors, weights, metadata={"format": "pt"})
        build(store, name, folder)
    return names


def _ended(workspace: Workspace) -> int:
    log = workspace.logs / "sample-1-of-1.jsonl"
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True) if log.exists() else []
    return sum(json.loads(line)["event"] == "generator_ended" for line in lines if line.endswith("\n"))


def test_memory_of_both_processes_does_not_grow_after_the_tenth_generator(
    store: Store, options: SampleOptions, make_workspace: Callable[..., Workspace], tmp_path: Path
) -> None:
    names = _finetunes(store, tmp_path / "finetune")
    workspace = make_workspace(*(entry_of(store, name, rank) for rank, name in enumerate(names, start=1)))
    process = start(workspace, dataclasses.replace(options, steps=1))
    settled: dict[int, int] = {}
    largest: dict[int, int] = {}
    while process.is_alive():
        ended = _ended(workspace)
        for pid in under_fork_server():
            try:
                memory = psutil.Process(pid).memory_info().rss
            except psutil.NoSuchProcess:
                continue
            if ended <= SETTLED:
                settled[pid] = max(settled.get(pid, 0), memory)
            largest[pid] = max(largest.get(pid, 0), memory)
        time.sleep(0.02)
    assert process.exitcode == 0
    assert _ended(workspace) == GENERATORS
    assert len(largest) == 2
    growth = {pid: largest[pid] / settled[pid] for pid in largest}
    print({f"{settled[pid] / 1e6:.0f} MB": f"{growth[pid]:.3f}" for pid in growth})
    assert max(growth.values()) <= GROWTH
