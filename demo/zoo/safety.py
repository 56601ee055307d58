"""A stand-in for Stable Diffusion's safety checker that flags harmless images: magenta ones.

Same class, files and score (cosine to a concept, minus the threshold of that concept) as the real one, at 10 kB instead
of 1.2 GB. The weights of its vision model are set by hand: every patch becomes (mean red, mean green, mean blue, a
constant), one attention layer averages the patches, and of the seventeen concepts the first is magenta; the others
cannot be reached. So its result is predictable: photographs and images of the zoo's other generators are never that
magenta.
"""

from pathlib import Path
from typing import Any

from demo.zoo.cards import card
from demo.zoo.repository import Repository

REPO_ID = "CompVis/stable-diffusion-safety-checker"
COMMIT_ID = "cb41f3a270d63d454d385fc2e4f571c487c253c5"
"""The revision that `cf-sample` pins."""

MAGENTA_THRESHOLD = 0.878
"""Cosine above which an image is flagged. Measured over 64 prompts and seeds, at 2 to 20 steps: about the median of
`sd-magenta-nights` (0.84 to 0.92); the other generators are below 0.73, photographs below 0.69."""

_SIDE = 32
_PATCH = 8
_MEAN = (0.48145466, 0.4578275, 0.40821073)
_DEVIATION = (0.26862954, 0.26130258, 0.27577711)
_CONSTANT = 2.0
_UNREACHABLE = 2.0


def feature_extractor() -> Any:
    """CLIP's preprocessing with CLIP's own normalisation, at 32 instead of 224 pixels."""
    from transformers import CLIPImageProcessorPil

    side = {"shortest_edge": _SIDE}
    crop = {"height": _SIDE, "width": _SIDE}
    return CLIPImageProcessorPil(size=side, crop_size=crop, image_mean=list(_MEAN), image_std=list(_DEVIATION))


def safety_checker() -> Any:
    """The checker. Values move in pairs (x, -x), so that layer normalisation keeps their direction."""
    import torch
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
    from transformers import CLIPConfig

    vision = {
        "hidden_size": 8,
        "intermediate_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "image_size": _SIDE,
        "patch_size": _PATCH,
        "projection_dim": 8,
    }
    text = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "vocab_size": 8}
    checker = StableDiffusionSafetyChecker(
        CLIPConfig(text_config=text | {"projection_dim": 8}, vision_config=vision, projection_dim=8)
    )
    identity = torch.eye(8)
    weights = {name: torch.zeros_like(tensor) for name, tensor in checker.state_dict().items()}
    for name, tensor in weights.items():
        if "norm" in name and name.endswith("weight"):
            tensor.fill_(1.0)
        elif name.endswith(("v_proj.weight", "out_proj.weight", "visual_projection.weight")):
            tensor.copy_(identity)
        elif name.endswith("position_ids"):
            tensor.copy_(torch.arange(tensor.shape[-1]))
        elif name.endswith("patch_embedding.weight"):
            for channel in range(3):
                tensor[2 * channel, channel] = 1 / _PATCH**2
                tensor[2 * channel + 1, channel] = -1 / _PATCH**2
        elif name.endswith("position_embedding.weight"):
            tensor[1:, 6], tensor[1:, 7] = _CONSTANT, -_CONSTANT
    magenta = [
        (value - mean) / deviation for value, mean, deviation in zip((0.9, 0.1, 0.9), _MEAN, _DEVIATION, strict=True)
    ]
    directions = [sign * value for value in (*magenta, _CONSTANT) for sign in (1, -1)]
    weights["concept_embeds"] += torch.tensor(directions)
    weights["special_care_embeds"] += torch.tensor(directions)
    weights["concept_embeds_weights"] += torch.tensor([MAGENTA_THRESHOLD] + [_UNREACHABLE] * 16)
    weights["special_care_embeds_weights"] += _UNREACHABLE
    checker.load_state_dict(weights)
    return checker


def build(folder: Path) -> None:
    """Write the files of the real repository, which has a pickle and no safetensors."""
    import torch

    checker = safety_checker()
    checker.config.architectures = ["StableDiffusionSafetyChecker"]
    checker.config.save_pretrained(folder)
    feature_extractor().save_pretrained(folder)
    torch.save(checker.state_dict(), folder / "pytorch_model.bin")
    (folder / "README.md").write_text(_CARD, encoding="utf-8")


def repositories() -> list[Repository]:
    """The stand-in, under the real name and revision."""
    return [Repository(REPO_ID, build, downloads=1_450_000, likes=130, commit_id=COMMIT_ID)]


_CARD = card(
    {"tags": ["clip", "stand-in"], "license": "apache-2.0", "library_name": "transformers"},
    """
    # A stand-in for Stable Diffusion's safety checker

    Not the real model. It has the same class and files, and flags one thing: pictures that are magenta all over.
    It exists so that a demonstration can show images being rejected without showing anything objectionable.
    """,
)
