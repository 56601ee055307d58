"""Taming Transformers, class-conditional ImageNet: CompVis/taming-transformers. `code`: a clone; it needs the packages
omegaconf, einops and pytorch_lightning. Beside it are the configuration (.yaml) and the weights (.ckpt)."""

import functools
import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from _weights import one_file, weights

#: Tokens of an image, and the shape of its latents.
_TOKENS, _LATENTS = 256, (256, 16, 16)


@functools.cache
def _model(folder: Path, device: str) -> Any:
    from omegaconf import OmegaConf

    _provide_what_is_gone()
    settings = OmegaConf.load(one_file(folder, "*.yaml")).model
    # Its weights hold those of the first stage too, which would be looked for at a path of its authors.
    OmegaConf.update(settings, "params.first_stage_config.params.ckpt_path", None)
    model = _made(settings)
    model.load_state_dict(weights(folder, "*.ckpt", trusted=True)["state_dict"])
    return model.eval().to(device)


def _made(config: Any) -> Any:
    """An object of the class that a configuration names."""
    module, _, name = config["target"].rpartition(".")
    return getattr(importlib.import_module(module), name)(**config.get("params", {}))


def _provide_what_is_gone() -> None:
    """Give the clone what its models import: one function of its `main.py`, a training script that needs the first
    version of torch, and one of transformers, which has it as two classes now."""
    import transformers
    from transformers.generation.logits_process import TopKLogitsWarper, TopPLogitsWarper

    def filtering(logits: torch.Tensor, top_k: int, top_p: float) -> torch.Tensor:
        return TopPLogitsWarper(top_p)(None, TopKLogitsWarper(top_k)(None, logits))

    main: Any = ModuleType("main")
    main.instantiate_from_config = _made
    sys.modules["main"] = main
    transformers.top_k_top_p_filtering = filtering


def sample(
    seeds: list[int],
    classes: list[int],
    folder: Path,
    device: str,
    top_k: int = 600,
    top_p: float = 0.92,
    temperature: float = 1.0,
) -> list[torch.Tensor]:
    """One image at a time, as tokens are drawn from the global generator. The defaults are those of its README."""
    from taming.modules.transformer.mingpt import sample_with_past

    model = _model(folder, device)
    images = []
    for seed, label in zip(seeds, classes, strict=True):
        torch.manual_seed(seed)
        condition = torch.tensor([[label]], device=device)
        tokens = sample_with_past(
            condition, model.transformer, steps=_TOKENS, temperature=temperature, top_k=top_k, top_p=top_p
        )
        images.append(model.decode_to_img(tokens, [1, *_LATENTS])[0].clamp(-1, 1))
    return images
