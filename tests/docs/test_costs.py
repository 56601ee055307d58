"""The numbers of docs/costs.md and of the README are those of samplers/planning/cost.py."""

import math
import re
from pathlib import Path

import pytest

from crawler.catalog import CatalogEntry, Hyperparameters
from samplers.forecasting.device_speed import DEVICES, speed_of
from samplers.planning.cost import cost_of
from tests.docs.pages import DOCS, ROOT
from tests.samplers.campaign import entry, file

IMAGES = 400
GENERATORS = 1000
UNET = "unet/diffusion_pytorch_model.safetensors"
#: Bytes of a pixel in a PNG: 0.4 MB for 512 x 512, as the study's 2.7 million images take 1.1 TB.
BYTES_A_PIXEL = 0.4e6 / 512**2


def _settings(steps: int, guidance: float, side: int) -> Hyperparameters:
    return Hyperparameters(num_inference_steps=steps, guidance_scale=guidance, height=side, width=side)


def _checkpoint(pipeline: str, unet: int, rest: int, settings: Hyperparameters) -> CatalogEntry:
    files = (file(UNET, unet), file("vae/diffusion_pytorch_model.safetensors", rest))
    return entry(hf_diffusers_tag=pipeline, variant=None, hyperparameters=settings, files=files)


def _adapter() -> CatalogEntry:
    base = (file("transformer/diffusion_pytorch_model.safetensors", 24 * 10**9), file("text_encoder_2/model", 10**10))
    own = (file("pytorch_lora_weights.safetensors", 10**8),)
    settings = _settings(28, 3.5, 1024)
    return entry(kind="lora", hf_diffusers_tag="FluxPipeline", hyperparameters=settings, files=own, base_files=base)


#: The row's name, the generator, bytes that each one has for itself, bytes that all share.
ROWS = {
    "fine-tunes of Stable Diffusion 1.5, 512 pixels, 25 steps": (
        _checkpoint("StableDiffusionPipeline", 4 * 860_000_000, 830_000_000, _settings(25, 7.5, 512)),
        4 * 860_000_000,
        830_000_000,
    ),
    "fine-tunes of Stable Diffusion XL, 1024 pixels, 25 steps": (
        _checkpoint("StableDiffusionXLPipeline", 4 * 2_570_000_000, 3_600_000_000, _settings(25, 5.0, 1024)),
        4 * 2_570_000_000,
        3_600_000_000,
    ),
    "LoRA adapters for FLUX.1-dev, 1024 pixels, 28 steps": (_adapter(), 10**8, 34 * 10**9),
}


@pytest.mark.parametrize("page", [DOCS / "costs.md", ROOT / "README.md"], ids=lambda page: page.name)
@pytest.mark.parametrize("name", ROWS)
def test_a_row_of_the_table_is_what_the_cost_model_computes(page: Path, name: str) -> None:
    generator, own, shared = ROWS[name]
    hours = GENERATORS * cost_of(generator, batch_size=8).seconds(IMAGES) / 3600
    download = (GENERATORS * own + shared) / 1e12
    side = generator.hyperparameters.height
    assert side is not None
    images = GENERATORS * IMAGES * BYTES_A_PIXEL * side**2 / 1e9
    row = f"| {name} | {download:.1f} TB | {_rounded(hours, 2):,} | {_rounded(images, 2):,} GB |"
    assert row in page.read_text()


def test_the_size_of_a_study_follows_from_the_first_row() -> None:
    text = (DOCS / "costs.md").read_text()
    (models, hours, total) = re.findall(r"its ([\d,]+) Hub models at (\d+) hours per 1,000 would be about (\d+)", text)[
        0
    ]
    assert round(int(models.replace(",", "")) * int(hours) / 1000, -1) == int(total)


def test_the_table_of_devices_is_the_one_that_is_computed_with() -> None:
    rows = [line for line in (DOCS / "costs.md").read_text().splitlines() if line.startswith("| `")]
    assert rows == [
        f"| `{name}` | {device.title} | {device.teraflops:g} | {device.bandwidth:g} | {speed_of(name)[0]:.2g} |"
        for name, device in DEVICES.items()
    ]


def _rounded(number: float, digits: int) -> int:
    return int(round(number, digits - 1 - math.floor(math.log10(number))))
