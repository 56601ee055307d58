"""A Hub as large as that of a campaign: thousands of repositories of a few families, ranked by downloads.

Every repository has its own card, model_index.json and denoiser configuration, which is the worst case; schedulers and
autoencoders have a few versions, as on the Hub, where training scripts copy them. One in eight is a LoRA for one of the
most downloaded checkpoints. Weights are sizes and hashes only: a crawl never reads one. The store's records are written
without the flushes of `Store.create`, which would take minutes for thousands.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from huggingface_hub.utils.sha import git_hash

from localhub.metadata import Metadata
from localhub.records import Commit, File, Repo, is_large
from localhub.store import Store

DATE = "2024-05-06T07:08:09.000Z"
#: One of this number of repositories is a LoRA.
LORA_EVERY = 8
#: Number of checkpoints with LoRAs.
BASES = 40
#: Number of versions of schedulers and autoencoders.
SCHEDULERS, AUTOENCODERS = 6, 10
_LICENSES = ("creativeml-openrail-m", "mit", "apache-2.0", "openrail++", "cc-by-nc-4.0")
_PARTS = {
    "scheduler": ("diffusers", "PNDMScheduler"),
    "text_encoder": ("transformers", "CLIPTextModel"),
    "tokenizer": ("transformers", "CLIPTokenizer"),
    "unet": ("diffusers", "UNet2DConditionModel"),
    "vae": ("diffusers", "AutoencoderKL"),
}
_WEIGHTS = ("text_encoder/model", "unet/diffusion_pytorch_model", "vae/diffusion_pytorch_model")
_CARD = """---
license: {license}
library_name: diffusers
pipeline_tag: text-to-image
base_model: {base}
tags: [diffusers, {tag}]
---
# {name}

```python
from diffusers import DiffusionPipeline

pipe = DiffusionPipeline.from_pretrained("{name}")
image = pipe("a photograph", num_inference_steps={steps}, guidance_scale=7.5).images[0]
```
"""


def build(directory: Path, repositories: int) -> None:
    """Make `directory` a Hub with this number of repositories; `name_of(0)` is the most downloaded."""
    store = Store(directory)
    for number in range(repositories):
        _write(store, number, repositories)


def name_of(number: int) -> str:
    """The repository of a rank, from 0."""
    return f"org{number % 97}/model-{number:05}"


def _write(store: Store, number: int, repositories: int) -> None:
    name, lora = name_of(number), _is_lora(number)
    base = name_of(_base(number)) if lora else "runwayml/stable-diffusion-v1-5"
    license_ = _LICENSES[number % len(_LICENSES)]
    kind = "lora" if lora else "stable-diffusion"
    card = _CARD.format(license=license_, base=base, tag=kind, name=name, steps=20 + number % 30)
    contents = {"README.md": card.encode(), **({} if lora else _configs(number))}
    files = {path: _keep(store, path, content) for path, content in contents.items()}
    for stem in ("pytorch_lora_weights",) if lora else _WEIGHTS:
        path = f"{stem}.safetensors"
        files[path] = File.large(hashlib.sha256(f"{name} {path}".encode()).hexdigest(), 10**9)
    relation = "adapter" if lora else "finetune"
    tags = ["diffusers", "safetensors", kind, f"base_model:{base}", f"base_model:{relation}:{base}"]
    tags += [f"license:{license_}", *([] if lora else ["diffusers:StableDiffusionPipeline"])]
    metadata = Metadata(card={"license": license_}, tags=tags, library_name="diffusers", pipeline_tag="text-to-image")
    commit = Commit(f"{number + 1:040x}", None, "files", DATE, "author", files, metadata)
    downloads = 10 * (repositories - number)
    repo = Repo("model", name, DATE, downloads, downloads * 9, number % 50, branches={"main": commit.id})
    folder = store.root / "models" / name
    (folder / "commits").mkdir(parents=True)
    (folder / "commits" / f"{commit.id}.json").write_bytes(commit.to_json())
    (folder / "repo.json").write_text(json.dumps(repo.to_json()))


def _is_lora(number: int) -> bool:
    return number % LORA_EVERY == LORA_EVERY - 1


def _base(number: int) -> int:
    """The checkpoint of a LoRA, which is no LoRA itself."""
    place = number // LORA_EVERY % BASES
    return place + _is_lora(place)


def _configs(number: int) -> dict[str, bytes]:
    index = {"_class_name": "StableDiffusionPipeline", "_name_or_path": f"runs/{number}", **_PARTS}
    named = {
        "model_index.json": index,
        "scheduler/scheduler_config.json": {
            "_class_name": "PNDMScheduler",
            "_diffusers_version": f"0.{number % SCHEDULERS}.0",
            "prediction_type": "epsilon",
        },
        "text_encoder/config.json": {"architectures": ["CLIPTextModel"]},
        "tokenizer/tokenizer_config.json": {"model_max_length": 77},
        "unet/config.json": {"_class_name": "UNet2DConditionModel", "_name_or_path": f"{number}", "sample_size": 64},
        "vae/config.json": {
            "_class_name": "AutoencoderKL",
            "_diffusers_version": f"0.{number % AUTOENCODERS}.0",
            "block_out_channels": [128, 256, 512, 512],
        },
    }
    return {path: _as_json(value) for path, value in named.items()}


def _as_json(value: Any) -> bytes:
    return json.dumps(value, indent=2).encode()


def _keep(store: Store, path: str, content: bytes) -> File:
    sha256 = hashlib.sha256(content).hexdigest()
    blob = store.blobs.path(sha256)
    if not blob.exists():
        blob.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(content)
    assert not is_large(path, len(content)), f"{path} would be stored outside git"
    return File(len(content), sha256, git_hash(content), lfs=False)
