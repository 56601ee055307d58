"""BigGAN-deep with the weights of its authors: the package pytorch-pretrained-biggan.

Beside it are `biggan-deep-256-config.json` and `biggan-deep-256-pytorch_model.bin`, or those of another size.
"""

import functools
from pathlib import Path
from typing import Any

import torch
from _weights import one_file, weights
from pytorch_pretrained_biggan import BigGAN, BigGANConfig, truncated_noise_sample


@functools.cache
def _model(folder: Path, device: str) -> Any:
    model = BigGAN(BigGANConfig.from_json_file(one_file(folder, "*config.json")))
    # The buffers that are not in the file are those of its batch normalisation, which the constructor fills.
    model.load_state_dict(weights(folder, "*pytorch_model.bin"), strict=False)
    return model.eval().to(device)


def sample(seeds: list[int], classes: list[int], folder: Path, device: str, truncation: float = 1.0) -> torch.Tensor:
    """Its noise is that of its own function for the same seed, reduced to 32 bits."""
    model = _model(folder, device)
    drawn = [truncated_noise_sample(truncation=truncation, batch_size=1, seed=seed % 2**32) for seed in seeds]
    latents = torch.cat([torch.from_numpy(one) for one in drawn]).to(device)
    labels = torch.nn.functional.one_hot(torch.tensor(classes), model.config.num_classes).float().to(device)
    return model(latents, labels, truncation)
