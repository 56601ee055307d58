"""The demo's class-conditional digits as one module of noise and classes, and its exports."""

import logging
import warnings
from pathlib import Path

import torch
from diffusers import DiTPipeline
from torch import Tensor, nn

from demo.zoo.digits import REPOSITORIES

STEPS = 2
NOISE = [4, 4, 4]
CLASSES = 10
EXAMPLE = (torch.zeros(2, *NOISE), torch.tensor([1, 2]))


class Digits(nn.Module):
    """DDIM without randomness, of a fixed number of steps, and the decoder."""

    def __init__(self) -> None:
        super().__init__()
        pipeline = DiTPipeline.from_pretrained(REPOSITORIES / "dit-digits", local_files_only=True)
        self.transformer, self.vae = pipeline.transformer.eval(), pipeline.vae.eval()
        pipeline.scheduler.set_timesteps(STEPS)
        self.timesteps = [int(step) for step in pipeline.scheduler.timesteps]
        kept = pipeline.scheduler.alphas_cumprod
        self.alphas = [float(kept[step]) for step in self.timesteps] + [1.0]

    def forward(self, noise: Tensor, classes: Tensor) -> Tensor:
        sample = noise
        for number, step in enumerate(self.timesteps):
            now, after = self.alphas[number], self.alphas[number + 1]
            timesteps = torch.zeros_like(classes) + step
            predicted = self.transformer(sample, timestep=timesteps, class_labels=classes).sample
            clean = now**0.5 * sample - (1 - now) ** 0.5 * predicted
            left = now**0.5 * predicted + (1 - now) ** 0.5 * sample
            sample = after**0.5 * clean + (1 - after) ** 0.5 * left
        return self.vae.decode(sample / self.vae.config.scaling_factor).sample


class Decoder(nn.Module):
    """The decoder of the digits alone, with a class that shifts its latents."""

    def __init__(self, digits: Digits) -> None:
        super().__init__()
        self.decoder = digits.vae.decoder

    def forward(self, noise: Tensor, classes: Tensor) -> Tensor:
        return self.decoder(noise + classes[:, None, None, None] / CLASSES)


def export(kind: str, path: Path) -> Path:
    """Write the digits in one of the formats of models."""
    model = Digits().eval()
    # Thousands of lines of an export, each of which pytest would keep.
    logging.disable(logging.WARNING)
    with torch.no_grad(), warnings.catch_warnings():
        # Tracing warns of each condition that it takes as it finds it.
        warnings.simplefilter("ignore")
        if kind == "torchscript":
            torch.jit.trace(model, EXAMPLE).save(str(path))
        elif kind == "torch-export":
            # Of one image at a time, as exported graphs often are. To export the transformer takes a minute.
            one = tuple(each[:1] for each in EXAMPLE)
            torch.export.save(torch.export.export(Decoder(model), one), path)
        else:
            names = ["noise", "classes"]
            batches = {name: {0: "batch"} for name in names}
            # The newer exporter takes forty seconds.
            torch.onnx.export(model, EXAMPLE, str(path), dynamo=False, input_names=names, dynamic_axes=batches)
    logging.disable(logging.NOTSET)
    return path
