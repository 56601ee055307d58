"""Generators that are asked for a class of ImageNet instead of a sentence."""

from typing import Any

from demo.zoo.cards import card
from demo.zoo.parts import autoencoder
from demo.zoo.repository import Repository, generator

_DIT = "tiny-labs/DiT-tiny-256"


def dit() -> Any:
    """DiT: a transformer over latent patches, with class labels and their names."""
    from diffusers import DDIMScheduler, DiTPipeline, DiTTransformer2DModel

    return DiTPipeline(
        transformer=DiTTransformer2DModel(
            sample_size=8,
            num_layers=2,
            patch_size=2,
            attention_head_dim=8,
            num_attention_heads=4,
            in_channels=4,
            out_channels=8,
            num_embeds_ada_norm=1000,
        ),
        vae=autoencoder(),
        scheduler=DDIMScheduler(),
        id2label=dict(enumerate(["tench, Tinca tinca", "goldfish, Carassius auratus", "great white shark", "hen"])),
    )


def repositories() -> list[Repository]:
    """The family."""
    return [generator(_DIT, dit, _DIT_CARD, downloads=9_120, likes=31, created_at="2023-01-17T20:00:00.000Z")]


_DIT_CARD = card(
    {"license": "cc-by-nc-4.0", "tags": ["class-conditional", "imagenet"], "library_name": "diffusers"},
    "# DiT, tiny",
    """
    ```python
    import torch
    from diffusers import DiTPipeline, DPMSolverMultistepScheduler

    pipe = DiTPipeline.from_pretrained("tiny-labs/DiT-tiny-256")
    class_ids = pipe.get_label_ids(["goldfish, Carassius auratus"])
    output = pipe(class_labels=class_ids, num_inference_steps=4, generator=torch.manual_seed(33))
    ```
    """,
)
