"""A catalogue as large and as mixed as a campaign's: families that share encoders, adapters, a few giants."""

import hashlib
import random
from dataclasses import replace

from crawler.catalog import CatalogEntry, Hyperparameters, ModelFile
from tests.records import catalog_entry

GB = 10**9


def file(path: str, size: int, *about: object) -> ModelFile:
    """A file whose content is told by its path and `about`."""
    return ModelFile(path=path, size=size, sha256=hashlib.sha256(repr((path, about)).encode()).hexdigest())


def entry(model_name: str = "org/name", **changes: object) -> CatalogEntry:
    """Stable Diffusion 1.5 as it is published, half precision, in 25 guided steps."""
    values: dict[str, object] = {
        "revision": hashlib.sha1(model_name.encode()).hexdigest(),
        "hf_diffusers_tag": "StableDiffusionPipeline",
        "variant": "fp16",
        "hyperparameters": Hyperparameters(num_inference_steps=25, guidance_scale=7.5, height=512, width=512),
        "files": stable_diffusion(model_name),
        **changes,
    }
    files = (*values["files"], *values.get("base_files", ()))  # type: ignore[misc]
    return catalog_entry(model_name, **{"download_bytes": sum(file.size for file in files), **values})


def stable_diffusion(unet: str, encoder: int = 0, decoder: int = 0) -> tuple[ModelFile, ...]:
    """Its files, with a U-Net of its own and one of several encoders and decoders."""
    return (
        file("text_encoder/model.fp16.safetensors", 246_000_000, encoder),
        file("unet/diffusion_pytorch_model.fp16.safetensors", 1_720_000_000, unet),
        file("vae/diffusion_pytorch_model.fp16.safetensors", 167_000_000, decoder),
    )


def catalogue(count: int, seed: int = 0) -> list[CatalogEntry]:
    """So many generators by rank: most are fine-tunes of Stable Diffusion, one in eight is an adapter for a popular
    one, some are of 1024 pixels, some are transformers a hundred times as expensive."""
    chance = random.Random(seed)
    found: list[CatalogEntry] = []
    for number in range(count):
        name = f"org{number % 97}/model-{number:05}"
        files = stable_diffusion(name, chance.choice([0, 0, 0, 1, 2, number]), chance.choice([0, 0, 1, 2, number]))
        steps = chance.choice([4, 20, 25, 30, 50, 50, 100])
        made = entry(name, rank=number + 1, files=files)
        made = replace(made, hyperparameters=replace(made.hyperparameters, num_inference_steps=steps))
        kind = chance.random()
        if kind < 1 / 8 and number >= 20:
            base = found[chance.randrange(20)]
            adapter = (file("pytorch_lora_weights.safetensors", 50_000_000, name),)
            made = replace(made, kind="lora", base_model=base.model_name, files=adapter, base_files=base.files)
        elif kind < 3 / 8:
            large = replace(made.hyperparameters, height=1024, width=1024)
            files = (
                file("text_encoder/model.safetensors", 246_000_000, "xl"),
                file("text_encoder_2/model.safetensors", 1_390_000_000, "xl"),
                file("unet/diffusion_pytorch_model.safetensors", 5_140_000_000, name),
                file("vae/diffusion_pytorch_model.safetensors", 167_000_000, chance.choice(["xl", "fix"])),
            )
            made = replace(made, hyperparameters=large, files=files)
        elif kind < 4 / 8:
            large = replace(made.hyperparameters, height=1024, width=1024)
            size = chance.choice([4 * GB, 12 * GB, 24 * GB])
            files = (
                file("text_encoder/model.safetensors", 246_000_000, 0),
                file("text_encoder_2/model.safetensors", 9 * GB, "t5"),
                file("transformer/diffusion_pytorch_model.safetensors", size, name),
                file("vae/diffusion_pytorch_model.safetensors", 167_000_000, "flow"),
            )
            made = replace(made, hyperparameters=large, hf_diffusers_tag="FluxPipeline", files=files)
        size = sum(file.size for file in (*made.files, *made.base_files))
        found.append(replace(made, download_bytes=size))
    return found
