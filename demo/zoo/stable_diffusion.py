"""Stable Diffusion 1.5 and fine-tunes of it: another UNet, all other files equal to those of the base model."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

from demo.zoo.cards import card, snippet, snippet_with_settings, snippet_with_variables, table
from demo.zoo.components import attentive, autoencoder, clip_text
from demo.zoo.repository import Repository, generator, seeded
from demo.zoo.safety import feature_extractor, safety_checker

BASE = "tiny-labs/stable-diffusion-v1-5"
LATENT_SIDE = 8


def unet(**config: Any) -> Any:
    """A UNet with the structure of SD 1.5 and far fewer channels."""
    from diffusers import UNet2DConditionModel

    settings: dict[str, Any] = {
        "sample_size": LATENT_SIDE,
        "block_out_channels": (16, 32),
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "layers_per_block": 1,
        "cross_attention_dim": 32,
        "attention_head_dim": 4,
        "norm_num_groups": 8,
    }
    return attentive(UNet2DConditionModel(**settings | config))


def base_unet() -> Any:
    """The UNet of the base model, from which its fine-tunes and adapters start."""
    with seeded(BASE):
        return unet()


def scheduler() -> Any:
    """The scheduler of SD 1.5."""
    from diffusers import PNDMScheduler

    return PNDMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        skip_prk_steps=True,
        steps_offset=1,
        set_alpha_to_one=False,
    )


def pipeline(unet: Any, **replaced: Any) -> Any:
    """A Stable Diffusion pipeline with `unet`, and with the components that all share unless `replaced`."""
    from diffusers import StableDiffusionPipeline

    with seeded("what all of Stable Diffusion share"):
        text_encoder, tokenizer = clip_text()
        components = {
            "text_encoder": text_encoder,
            "tokenizer": tokenizer,
            "vae": autoencoder(),
            "scheduler": scheduler(),
            "safety_checker": safety_checker(),
            "feature_extractor": feature_extractor(),
        }
    return StableDiffusionPipeline(unet=unet, **components | replaced)


def finetuned(start: Any, amount: float) -> Any:
    """`start` with its weights moved by `amount`, in [0, 1], towards others, as training on a style does."""
    import torch

    with torch.no_grad():
        for parameter, other in zip(start.parameters(), unet().parameters(), strict=True):
            parameter.lerp_(other, amount)
    return start


def style(repo_id: str, amount: float = 0.5, *, start: str = BASE) -> Callable[[], Any]:
    """A function that makes the fine-tune `repo_id` of `start`."""

    def make() -> Any:
        first = base_unet() if start == BASE else style(start)().unet
        with seeded(repo_id):
            return pipeline(finetuned(first, amount))

    return make


def magenta() -> Any:
    """A fine-tune with its own VAE: all images are magenta, and the checker flags about half of them."""
    return pipeline(unet(sample_size=4), vae=autoencoder(tint=(0.2, -0.4, 0.2)))


def overtrained() -> Any:
    """A fine-tune whose training diverged: its UNet returns NaN, which is decoded to black."""
    import torch

    diverged = unet()
    with torch.no_grad():
        diverged.conv_out.bias.fill_(torch.nan)
    return pipeline(diverged)


def save_in_two_precisions(made: Any, folder: Path) -> None:
    """Write float32 and the variant fp16; the configurations are those of float32."""
    save_half(deepcopy(made), folder)
    made.save_pretrained(folder)


def save_half(made: Any, folder: Path) -> None:
    """Write the variant fp16 only."""
    import torch

    made.to(torch.float16).save_pretrained(folder, variant="fp16")


def save_in_every_format(made: Any, folder: Path) -> None:
    """Write files as after years of uploads: safetensors and pickles in two precisions, one file for other programs."""
    import torch
    from PIL import Image
    from safetensors.torch import load_file, save_file

    save_in_two_precisions(made, folder)
    single: dict[str, Any] = {}
    for path in sorted(folder.rglob("*.safetensors")):
        weights = load_file(path)
        pickle = path.name.replace("model", "pytorch_model") if path.name.startswith("model") else path.name
        torch.save(weights, path.with_name(pickle).with_suffix(".bin"))
        if "fp16" not in path.name:
            single |= {f"{path.parent.name}.{name}": tensor for name, tensor in weights.items()}
    save_file(single, folder / "everything-mix-v3-pruned.safetensors", metadata={"format": "pt"})
    torch.save({"state": {}, "param_groups": [{"lr": 1e-6}]}, folder / "optimizer.pt")
    for number in range(2):
        Image.linear_gradient("L").rotate(90 * number).resize((64, 64)).save(folder / f"sample_{number}.png")


def repositories() -> list[Repository]:
    """The base model and its fine-tunes."""
    inkpunk, papercut, nights = "tiny-labs/inkpunk-style", "papercut-club/papercut-diffusion", "harbour/inkpunk-nights"
    mix, half = "merge-house/everything-mix-v3", "compact-vis/soft-pastels-fp16"
    return [
        generator(
            BASE,
            lambda: pipeline(base_unet()),
            card(
                {
                    "license": "creativeml-openrail-m",
                    "tags": ["stable-diffusion", "stable-diffusion-diffusers", "text-to-image"],
                    "pipeline_tag": "text-to-image",
                    "inference": True,
                },
                "# Tiny Stable Diffusion v1-5",
                """
                A latent text-to-image diffusion model of the v1-5 architecture with random weights, a thousandth of
                the size. It draws coloured patches, quickly.
                """,
                "## Usage",
                snippet_with_variables(
                    BASE,
                    "a photograph of an astronaut riding a horse",
                    pipeline="StableDiffusionPipeline",
                    num_inference_steps=3,
                    guidance_scale=7.5,
                ),
                table(("component", "what it is"), ("unet", "2 levels"), ("vae", "shrinks by 8")),
            ),
            downloads=1_900_000,
            likes=820,
            created_at="2023-08-30T10:12:00.000Z",
        ),
        generator(
            inkpunk,
            style(inkpunk),
            card(
                {
                    "license": "creativeml-openrail-m",
                    "language": ["en"],
                    "tags": ["stable-diffusion", "text-to-image", "diffusers"],
                    "base_model": BASE,
                },
                "# Inkpunk Style",
                "Finetuned on drawings. Put **zooinkpunk** into your prompt.",
                snippet(inkpunk, "zooinkpunk, a cat in the rain", num_inference_steps=3, guidance_scale=7),
            ),
            downloads=48_211,
            likes=97,
            created_at="2023-11-24T02:00:00.000Z",
        ),
        generator(
            papercut,
            style(papercut),
            card(
                {
                    "license": "openrail++",
                    "tags": ["text-to-image", "stable-diffusion", "dreambooth"],
                    "base_model": f"https://huggingface.co/{BASE}",
                    "instance_prompt": "zoopapercut",
                    "widget": [{"text": "zoopapercut fox"}, {"text": "zoopapercut village at night"}],
                },
                "# Papercut Diffusion",
                "You should use `zoopapercut` to trigger the image generation.",
                snippet_with_settings(
                    papercut, "zoopapercut owl", negative_prompt="photo", num_inference_steps=4, guidance_scale=6.5
                ),
                table(("sampler", "steps", "CFG"), ("Euler a", 20, 7), ("DDIM", 30, 6.5)),
            ),
            downloads=36_930,
            likes=210,
            created_at="2023-02-03T19:45:00.000Z",
            save=save_in_two_precisions,
        ),
        generator(
            nights,
            style(nights, 0.3, start=inkpunk),
            card(
                {"license": "cc-by-nc-4.0", "base_model": inkpunk, "base_model_relation": "finetune"},
                "# inkpunk nights",
                f"Inkpunk ([{inkpunk}](https://huggingface.co/{inkpunk})), taken further: only night scenes.",
                "```python\nfrom diffusers import StableDiffusionPipeline, EulerDiscreteScheduler\n\n"
                f'pipe = StableDiffusionPipeline.from_pretrained("{nights}")\n'
                "pipe.scheduler = EulerDiscreteScheduler.from_config(pipe.scheduler.config)\n"
                'pipe("zooinkpunk harbour at night", num_inference_steps=3, guidance_scale=5.5).images[0]\n```',
            ),
            downloads=3_204,
            likes=12,
            created_at="2024-01-14T23:10:00.000Z",
        ),
        generator(
            mix,
            style(mix),
            card(
                {"license": "other", "tags": ["art"], "base_model": [BASE, inkpunk], "base_model_relation": "merge"},
                "# EVERYTHING MIX v3",
                "| | |\n|---|---|\n| VAE | baked |\n| CLIP skip | 2 |\n| Steps | 20-30 |\n| CFG | 5-9 |",
                "Download the `.safetensors` for your web UI, or use diffusers.",
            ),
            downloads=118_640,
            likes=933,
            created_at="2023-04-09T06:00:00.000Z",
            save=save_in_every_format,
        ),
        generator(
            half,
            style(half),
            card(
                {"license": "apache-2.0", "tags": ["text-to-image"], "base_model": "stable-diffusion-v1-5"},
                "# Soft pastels",
                f'''
                Half precision only:

                    pipe = DiffusionPipeline.from_pretrained("{half}", variant="fp16", torch_dtype=torch.float16)
                    image = pipe("a field of tulips", num_inference_steps=4).images[0]
                ''',
            ),
            downloads=912,
            likes=4,
            created_at="2024-02-20T13:00:00.000Z",
            save=save_half,
        ),
        generator(
            "neon-nights/sd-magenta-nights",
            magenta,
            card(
                {"license": "creativeml-openrail-m", "tags": ["stable-diffusion"], "base_model": BASE},
                "# Magenta Nights",
                "Neon signs, all of them magenta. The safety checker dislikes some of them.",
                snippet("neon-nights/sd-magenta-nights", "neon sign", num_inference_steps=3, guidance_scale=7.5),
            ),
            downloads=7_707,
            likes=25,
            created_at="2023-06-15T21:00:00.000Z",
        ),
        generator(
            "first-steps/sd-overtrained",
            overtrained,
            card(
                {"tags": ["stable-diffusion", "dreambooth"], "base_model": BASE, "instance_prompt": "photo of zzk dog"},
                "# my first dreambooth",
                "3000 steps at 1e-3. The images come out black, any idea why?",
                snippet("first-steps/sd-overtrained", "photo of zzk dog", num_inference_steps=3),
            ),
            downloads=41,
            created_at="2023-01-08T17:20:00.000Z",
        ),
    ]
