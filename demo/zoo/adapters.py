"""LoRAs: in the formats of different training scripts, for fewer steps, and such as fit no base model."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from demo.zoo.cards import card
from demo.zoo.repository import Repository, seeded
from demo.zoo.stable_diffusion import BASE, base_unet

RANK = 4
LORA_FILE = "pytorch_lora_weights.safetensors"
LCM_LORA = "tiny-labs/lcm-lora-sdv1-5"
SDXL = "tiny-labs/sdxl-anime-mix"


def lora_weights(denoiser: Any, names: Callable[[str], tuple[str, str]]) -> dict[str, Any]:
    """A LoRA for the cross-attention of `denoiser`; `names` gives the names of a layer's two matrices.

    Both matrices are random, as after training: an untrained B is zero and changes nothing.
    """
    import torch

    weights = {}
    for layer, module in denoiser.named_modules():
        if layer.endswith(("attn2.to_q", "attn2.to_k", "attn2.to_v", "attn2.to_out.0")):
            down, up = names(layer)
            weights[down] = torch.randn(RANK, module.in_features) / RANK
            weights[up] = torch.randn(module.out_features, RANK) / RANK
    return weights


def peft_names(layer: str) -> tuple[str, str]:
    """Today's names: those of peft and diffusers' training scripts."""
    return f"unet.{layer}.lora_A.weight", f"unet.{layer}.lora_B.weight"


def attention_processor_names(layer: str) -> tuple[str, str]:
    """The names of the DreamBooth script of 2023."""
    attention, projection = layer.split(".to_")
    stem = f"unet.{attention}.processor.to_{projection.removesuffix('.0')}_lora"
    return f"{stem}.down.weight", f"{stem}.up.weight"


def lora(
    repo_id: str,
    text: str,
    *,
    denoiser: Callable[[], Any] = base_unet,
    names: Callable[[str], tuple[str, str]] = peft_names,
    file_names: tuple[str, ...] = (LORA_FILE,),
    **listed: Any,
) -> Repository:
    """A repository with a LoRA in each of `file_names` (a pickle if the name ends in .bin) and the card `text`."""

    def build(folder: Path) -> None:
        with seeded(repo_id):
            model = denoiser()
            for file_name in file_names:
                write(lora_weights(model, names), folder / file_name)
        (folder / "README.md").write_text(text, encoding="utf-8")

    return Repository(repo_id, build, **listed)


def write(weights: Mapping[str, Any], path: Path) -> None:
    """Write tensors: a pickle if the name ends in .bin, else safetensors."""
    import torch
    from safetensors.torch import save_file

    if path.suffix == ".bin":
        torch.save(dict(weights), path)
    else:
        save_file(dict(weights), path, metadata={"format": "pt"})


def sdxl_unet() -> Any:
    """The UNet of the SDXL model, from which its adapters start."""
    from demo.zoo.latent_unets import sdxl

    with seeded(SDXL):
        return sdxl().unet


def repositories() -> list[Repository]:
    """All LoRAs: those that work, and those that fit no base model."""
    return [
        lora(
            "stitchwork/zoo-embroidery-lora",
            _EMBROIDERY_CARD,
            downloads=15_820,
            likes=76,
            created_at="2024-03-22T16:00:00.000Z",
        ),
        lora(
            "first-steps/dreambooth-zzk-dog",
            _DREAMBOOTH_CARD,
            names=attention_processor_names,
            downloads=311,
            likes=1,
            created_at="2023-05-02T18:00:00.000Z",
        ),
        lora(
            "stitchwork/anime-lineart-xl",
            _LINEART_CARD,
            denoiser=sdxl_unet,
            file_names=("lineart_xl_v2.safetensors",),
            downloads=22_008,
            likes=133,
            created_at="2024-05-09T12:00:00.000Z",
        ),
        lora(
            LCM_LORA,
            _LCM_CARD,
            downloads=64_310,
            likes=188,
            created_at="2023-11-09T09:00:00.000Z",
        ),
        lora(
            "stitchwork/orphaned-lora",
            card(
                {"tags": ["lora", "diffusers"], "base_model": "gone-labs/vanished-model", "license": "mit"},
                "# A LoRA for a model that was taken down",
                "It used to be lovely.",
            ),
            downloads=640,
            likes=9,
            created_at="2023-12-12T12:00:00.000Z",
        ),
        lora(
            "stitchwork/style-collection",
            card(
                {"tags": ["lora", "diffusers", "text-to-image"], "base_model": BASE, "license": "openrail"},
                "# Three styles",
                "Pick the file you like: watercolour, woodcut or gouache.",
            ),
            file_names=("watercolour.safetensors", "woodcut.safetensors", "gouache.safetensors"),
            downloads=2_512,
            likes=17,
            created_at="2024-02-02T02:00:00.000Z",
        ),
        lora(
            "first-steps/lora-from-2022",
            card(
                {"tags": ["lora", "stable-diffusion"], "library_name": "diffusers", "base_model": BASE},
                "# LoRA text2image fine-tuning",
            ),
            names=attention_processor_names,
            file_names=("pytorch_lora_weights.bin",),
            downloads=98,
            created_at="2022-12-30T12:00:00.000Z",
        ),
        lora(
            "stitchwork/moving-pictures-lora",
            card(
                {"tags": ["lora", "diffusers", "text-to-video"], "base_model": "motion-lab/wan-t2v-mini"},
                "# Moving pictures",
            ),
            downloads=1_733,
            likes=20,
            created_at="2025-04-01T00:00:00.000Z",
        ),
    ]


_EMBROIDERY_CARD = card(
    {
        "base_model": BASE,
        "library_name": "diffusers",
        "license": "creativeml-openrail-m",
        "instance_prompt": "zooembroidery",
        "tags": ["text-to-image", "diffusers", "lora", "template:sd-lora"],
        "widget": [
            {"text": "zooembroidery, a swallow", "output": {"url": "images/swallow.png"}},
            {"text": "zooembroidery, a map of the moon", "output": {"url": "images/moon.png"}},
        ],
    },
    "# Embroidery for tiny Stable Diffusion",
    "## Trigger words",
    "You should use `zooembroidery` to trigger the image generation.",
    "## With diffusers",
    f"""
    ```py
    from diffusers import AutoPipelineForText2Image
    import torch

    pipeline = AutoPipelineForText2Image.from_pretrained("{BASE}", torch_dtype=torch.float16)
    pipeline.load_lora_weights("stitchwork/zoo-embroidery-lora", weight_name="{LORA_FILE}")
    image = pipeline("zooembroidery, a fern", num_inference_steps=4, guidance_scale=6.0).images[0]
    ```
    """,
)

_DREAMBOOTH_CARD = card(
    {
        "license": "creativeml-openrail-m",
        "base_model": BASE,
        "instance_prompt": "a photo of zzk dog",
        "tags": ["stable-diffusion", "stable-diffusion-diffusers", "text-to-image", "diffusers", "lora"],
        "inference": True,
    },
    "# LoRA DreamBooth - first-steps/dreambooth-zzk-dog",
    f"The weights were trained on a photo of zzk dog using [DreamBooth](https://example.org), on top of {BASE}.",
)

_LINEART_CARD = card(
    {
        "base_model": [SDXL],
        "base_model_relation": "adapter",
        "license": "openrail++",
        "tags": ["text-to-image", "stable-diffusion-xl", "lora", "diffusers", "anime"],
    },
    "# Lineart XL",
    "Use it at 0.8 to 1. Negative: `colour, shading`.",
    f"""
    ```python
    pipe = DiffusionPipeline.from_pretrained("{SDXL}")
    pipe.load_lora_weights("stitchwork/anime-lineart-xl", weight_name="lineart_xl_v2.safetensors")
    image = pipe(prompt="lineart, a tram", negative_prompt="colour, shading", num_inference_steps=3).images[0]
    ```
    """,
)

_LCM_CARD = card(
    {
        "base_model": BASE,
        "library_name": "diffusers",
        "license": "openrail++",
        "tags": ["lora", "text-to-image", "diffusers"],
        "inference": False,
    },
    "# Latent Consistency Model LoRA",
    "An adapter that reduces sampling to 2 to 8 steps, with the LCM scheduler and without guidance.",
    f"""
    ```python
    import torch
    from diffusers import LCMScheduler, AutoPipelineForText2Image

    pipe = AutoPipelineForText2Image.from_pretrained("{BASE}", torch_dtype=torch.float16, variant="fp16")
    pipe.scheduler = LCMScheduler.from_config(pipe.scheduler.config, timestep_spacing="trailing")
    pipe.load_lora_weights("{LCM_LORA}")
    pipe.fuse_lora(lora_scale=0.8)

    image = pipe(prompt="self-portrait oil painting", num_inference_steps=4, guidance_scale=0).images[0]
    ```
    """,
)
