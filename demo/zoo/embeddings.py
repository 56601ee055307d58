"""Adapters with embeddings of their own: a textual inversion, and a LoRA with the tokens it was trained with."""

from collections.abc import Callable
from pathlib import Path

from demo.zoo.adapters import LORA_FILE, SDXL, lora_weights, peft_names, sdxl_unet, write
from demo.zoo.cards import card
from demo.zoo.repository import Repository, seeded
from demo.zoo.stable_diffusion import BASE

ZOO_CAT = "<zoo-cat>"
INVERSION = "concepts/zoo-cat"
PIVOTAL = "stitchwork/zoo-teapot-xl"
PIVOTAL_FILE = "zoo-teapot-xl_emb.safetensors"
PIVOTAL_TOKENS = ("<s0>", "<s1>")
# Length of a token's embedding in the text encoders of the tiny models.
_SIZE = 32


def _textual_inversion(repo_id: str) -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        import torch

        with seeded(repo_id):
            embedding = 2 * torch.randn(1, _SIZE)
        write({ZOO_CAT: embedding}, folder / "learned_embeds.safetensors")
        (folder / "README.md").write_text(_INVERSION_CARD, encoding="utf-8")

    return build


def _pivotal_tuning(repo_id: str) -> Callable[[Path], None]:
    """The files of diffusers' advanced DreamBooth script: a LoRA, and new tokens for both text encoders of SDXL."""

    def build(folder: Path) -> None:
        import torch

        denoiser = sdxl_unet()
        with seeded(repo_id):
            write(lora_weights(denoiser, peft_names), folder / LORA_FILE)
            tokens = {name: 2 * torch.randn(len(PIVOTAL_TOKENS), _SIZE) for name in ("clip_l", "clip_g")}
        write(tokens, folder / PIVOTAL_FILE)
        (folder / "README.md").write_text(_PIVOTAL_CARD, encoding="utf-8")

    return build


def repositories() -> list[Repository]:
    """All adapters with embeddings."""
    return [
        Repository(
            INVERSION,
            _textual_inversion(INVERSION),
            downloads=1_190,
            likes=8,
            created_at="2022-09-14T10:00:00.000Z",
        ),
        Repository(
            PIVOTAL,
            _pivotal_tuning(PIVOTAL),
            downloads=3_377,
            likes=41,
            created_at="2024-01-15T15:00:00.000Z",
        ),
    ]


_INVERSION_CARD = card(
    {
        "license": "mit",
        "base_model": BASE,
        "library_name": "diffusers",
        "tags": ["stable-diffusion", "textual_inversion", "text-to-image"],
    },
    "# zoo-cat",
    f"This is the `{ZOO_CAT}` concept taught to tiny Stable Diffusion by textual inversion.",
    f"""
    ```python
    pipe = StableDiffusionPipeline.from_pretrained("{BASE}")
    pipe.load_textual_inversion("{INVERSION}")
    image = pipe("a {ZOO_CAT} on a sofa", num_inference_steps=3, guidance_scale=7.0).images[0]
    ```
    """,
)

_PIVOTAL_CARD = card(
    {
        "base_model": SDXL,
        "license": "openrail++",
        "instance_prompt": "a <s0><s1> teapot",
        "tags": ["stable-diffusion-xl", "text-to-image", "diffusers", "lora", "template:sd-lora"],
    },
    "# SDXL LoRA DreamBooth - zoo teapot",
    "## Trigger words",
    "To trigger image generation of the trained concept, use the new tokens `<s0><s1>` in your prompt.",
    f"""
    ```python
    import torch
    from diffusers import AutoPipelineForText2Image
    from huggingface_hub import hf_hub_download
    from safetensors.torch import load_file

    pipeline = AutoPipelineForText2Image.from_pretrained("{SDXL}", torch_dtype=torch.float16).to("cuda")
    pipeline.load_lora_weights("{PIVOTAL}", weight_name="{LORA_FILE}")
    embedding_path = hf_hub_download(repo_id="{PIVOTAL}", filename="{PIVOTAL_FILE}", repo_type="model")
    state_dict = load_file(embedding_path)
    pipeline.load_textual_inversion(
        state_dict["clip_l"],
        token=["<s0>", "<s1>"],
        text_encoder=pipeline.text_encoder,
        tokenizer=pipeline.tokenizer,
    )
    pipeline.load_textual_inversion(
        state_dict["clip_g"],
        token=["<s0>", "<s1>"],
        text_encoder=pipeline.text_encoder_2,
        tokenizer=pipeline.tokenizer_2,
    )
    image = pipeline("a <s0><s1> teapot on a window sill", num_inference_steps=3, guidance_scale=6.0).images[0]
    ```
    """,
)
