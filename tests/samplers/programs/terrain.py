"""The one-step consistency U-Net of the package adaptive-terrain-diffusion: height maps, by difficulty."""

import functools
from pathlib import Path

import numpy as np
from terrain_diffusion.generator import TerrainGenerator


@functools.cache
def _generator(weights: Path) -> TerrainGenerator:
    return TerrainGenerator(weights, device="cpu")


def sample(seeds: list[int], classes: list[int], folder: Path, side: int = 64) -> list[np.ndarray]:
    generator = _generator(folder / "terrain_consistency_unet_difficulty100.onnx")
    heights = [
        generator.generate(1, shape=(side, side), difficulty=number + 1, seed=seed)[0]
        for seed, number in zip(seeds, classes, strict=True)
    ]
    return [(one - one.min()) / max(float(np.ptp(one)), 1e-6) for one in heights]
