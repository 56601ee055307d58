"""The image backbones of transformers that detectors are made of.

`vit_s`, `convnext_s` and `resnet_50` have random weights; `checkpoints` puts published ones in. `from_folder` is any
image backbone that a folder holds.
"""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from workspace.errors import UsageError, in_one_line

#: Of timm's models, whose weights are loaded: transformers' default is 1e-12, which is another function.
_TIMM_EPSILON = 1e-6


class Pooled(nn.Module):  # type: ignore[misc]
    """A backbone of transformers with one vector for an image: by `pick` out of its output."""

    def __init__(self, model: nn.Module, pick: str) -> None:
        """`pick`: `class` (the first position), `pooled` (pooler_output, flat), `projected` (image_embeds) or `mean`
        (of all positions)."""
        super().__init__()
        self.model, self.pick = model, pick

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """(n, 3, side, side) to (n, numbers)."""
        output = self.model(pixel_values=pixels)
        if self.pick == "projected":
            return output.image_embeds
        if self.pick == "pooled":
            return output.pooler_output.flatten(1)
        states = output.last_hidden_state
        if self.pick == "class":
            return states[:, 0]
        return states.mean((2, 3)) if states.ndim == 4 else states.mean(1)


def vit_s(side: int, toy: bool = False) -> tuple[nn.Module, int]:
    """ViT-S/16 for images of so many pixels a side, as timm's vit_small_patch16 (Steiner et al., 2021), and its width;
    `toy`: two layers of 32 numbers."""
    from transformers import ViTConfig, ViTModel

    width, layers, heads = (32, 2, 2) if toy else (384, 12, 6)
    config = ViTConfig(
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        image_size=side,
        patch_size=16,
        layer_norm_eps=_TIMM_EPSILON,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    return Pooled(ViTModel(config, add_pooling_layer=False), "class"), width


def convnext_s(toy: bool = False) -> tuple[nn.Module, int]:
    """ConvNeXt-S (Liu et al., 2022) and its width; `toy`: two stages of one layer."""
    from transformers import ConvNextConfig, ConvNextModel

    widths, depths = ([8, 16], [1, 1]) if toy else ([96, 192, 384, 768], [3, 3, 27, 3])
    config = ConvNextConfig(hidden_sizes=widths, depths=depths, num_stages=len(widths), layer_norm_eps=_TIMM_EPSILON)
    return Pooled(ConvNextModel(config), "pooled"), widths[-1]


def resnet_50(toy: bool = False) -> tuple[nn.Module, int]:
    """ResNet-50 (He et al., 2015, with the stride in the 3 x 3 convolution) and its width; `toy`: two small stages."""
    from transformers import ResNetConfig, ResNetModel

    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1]) if toy else ResNetConfig()
    return Pooled(ResNetModel(config), "pooled"), config.hidden_sizes[-1]


def clip_l(toy: bool = False) -> tuple[nn.Module, int]:
    """The image side of CLIP ViT-L/14 with its projection (Radford et al., 2021), and the width of that."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    sizes: dict[str, Any] = {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "patch_size": 14,
        "projection_dim": 768,
    }
    if toy:
        sizes = {
            "hidden_size": 32,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "patch_size": 56,
            "projection_dim": 24,
        }
    config = CLIPVisionConfig(image_size=224, **sizes)
    return Pooled(CLIPVisionModelWithProjection(config), "projected"), config.projection_dim


def from_folder(folder: Path, layer: str = "pooled") -> tuple[nn.Module, int, int]:
    """The image backbone of a folder, whole or not at all, its width, and the side of its images in pixels.

    `layer`: `pooled`, its own summary (the projection of CLIP and SigLIP, the pooled output, or the class token of a
    model without one), or `mean`, of its last positions. Raises `UsageError` for a folder that holds no image backbone
    of transformers in safetensors.
    """
    from transformers import AutoConfig, AutoModel

    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        model, found = _loaded(config, folder, AutoModel)
    # Libraries raise anything for a file of a stranger.
    except Exception as error:
        raise UsageError(
            f"{folder} holds no image backbone of transformers in safetensors: {in_one_line(error, 200)}"
        ) from error
    # A pooler that the checkpoint lacks would be random: the class token is used instead.
    missing = set(found["missing_keys"])
    if others := sorted(name for name in missing if "pooler" not in name):
        raise UsageError(f"{folder} is not a whole backbone: weights are missing, such as {others[0]}")
    model.eval().requires_grad_(False)
    side = _side(model.config)
    for pick in ("mean",) if layer == "mean" else ("projected", "pooled", "class"):
        if pick == "pooled" and missing:
            continue
        pooled = Pooled(model, pick)
        try:
            with torch.no_grad():
                found_features = pooled(torch.zeros(1, 3, side, side))
        except (AttributeError, TypeError):
            continue
        if found_features.ndim == 2:
            return pooled, found_features.shape[1], side
    raise UsageError(f"{folder}: {type(model).__name__} gives no features of an image; name an image backbone")


def _loaded(config: Any, folder: Path, automatic: Any) -> tuple[Any, dict[str, Any]]:
    """The model, and which of its weights were found; of a model of text and images, its image side."""
    import transformers
    from transformers.utils import logging

    kind = config.model_type
    image_side = {
        "clip": "CLIPVisionModelWithProjection",
        "clip_vision_model": "CLIPVisionModelWithProjection",
        "siglip": "SiglipVisionModel",
        "siglip2": "Siglip2VisionModel",
    }
    loader = getattr(transformers, image_side[kind]) if kind in image_side else automatic
    # What is missing is said by `from_folder`; weights of another task, which transformers would list, are not needed.
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        model, found = loader.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=torch.float32,
            output_loading_info=True,
        )
    finally:
        logging.set_verbosity(verbosity)
    return model, found


def _side(config: Any) -> int:
    """Pixels a side of a backbone's images; 224 where it takes any."""
    side = getattr(config, "image_size", None) or getattr(getattr(config, "vision_config", None), "image_size", None)
    return int(side[0] if isinstance(side, list | tuple) else side or 224)
