"""The DCGAN of the package gan-face-generate: faces of 64x64, unconditional."""

import functools
from pathlib import Path

import torch
from gan_face_generate.models import Generator


@functools.cache
def _model(weights: Path, device: str) -> Generator:
    model = Generator(ngpu=1, nc=3, nz=100, ngf=64)
    model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True)["netG_state_dict"])
    return model.eval().to(device)


def sample(seeds: list[int], folder: Path, device: str) -> torch.Tensor:
    noise = [torch.randn(100, 1, 1, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    return _model(folder / "weights.tar", device)(torch.stack(noise).to(device))
