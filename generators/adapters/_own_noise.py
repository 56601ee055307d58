"""Noise of each image's own seed, for code that draws it from the global generator for a whole batch."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch


def noise_of(seeds: Sequence[int], shape: Sequence[int], device: str) -> torch.Tensor:
    """Normal noise, one of `shape` for each seed, from a generator of the CPU: the same on every device."""
    each = [torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    return torch.stack(each).to(device)


@contextmanager
def own_noise(seeds: Sequence[int]) -> Iterator[None]:
    """Let `torch.randn` and `torch.randn_like` draw each image's noise from a generator of its seed.

    For tensors of as many images as there are seeds, or of a multiple, as classifier-free guidance has them: copies of
    an image get the same noise.
    """
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    randn, randn_like = torch.randn, torch.randn_like

    def drawn(shape: Sequence[int]) -> torch.Tensor:
        if shape[0] % len(generators):
            raise ValueError(f"noise for {shape[0]} images, and {len(generators)} seeds")
        each = torch.stack([randn(*shape[1:], generator=generator) for generator in generators])
        return each.repeat(shape[0] // len(generators), *[1] * (len(shape) - 1))

    def own_randn(*shape: Any, device: Any = None, dtype: Any = None, **_: Any) -> torch.Tensor:
        sides = shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape
        return drawn(tuple(sides)).to(device=device, dtype=dtype)

    def own_randn_like(like: torch.Tensor, **_: Any) -> torch.Tensor:
        return drawn(tuple(like.shape)).to(like)

    torch.randn, torch.randn_like = own_randn, own_randn_like
    try:
        yield
    finally:
        torch.randn, torch.randn_like = randn, randn_like
