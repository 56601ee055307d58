"""ADM: openai/guided-diffusion, with the guidance of its classifier. `code`: a clone.

The flags are those of its README for the class-conditional model of 256 pixels; another size states others.
"""

import functools
from pathlib import Path
from typing import Any

import torch
from _own_noise import own_noise
from _weights import weights

#: Of all its class-conditional models.
_FLAGS = {"attention_resolutions": "32,16,8", "diffusion_steps": 1000, "learn_sigma": True, "num_res_blocks": 2}
_BLOCKS = {"resblock_updown": True, "use_scale_shift_norm": True}


@functools.cache
def _loaded(folder: Path, device: str, image_size: int, steps: int, flags: tuple[tuple[str, Any], ...]) -> Any:
    from guided_diffusion import script_util

    wanted = {**_FLAGS, **_BLOCKS, "class_cond": True, "image_size": image_size, **dict(flags)}
    defaults = script_util.model_and_diffusion_defaults()
    wanted = {**defaults, "timestep_respacing": str(steps), **wanted}
    model, diffusion = script_util.create_model_and_diffusion(**wanted)
    model.load_state_dict(weights(folder, "*diffusion.pt"))
    classifier = script_util.create_classifier(**{**script_util.classifier_defaults(), "image_size": image_size})
    classifier.load_state_dict(weights(folder, "*classifier.pt"))
    return model.eval().to(device), classifier.eval().to(device), diffusion


def sample(
    seeds: list[int],
    classes: list[int],
    folder: Path,
    device: str,
    image_size: int = 256,
    num_inference_steps: int = 250,
    classifier_scale: float = 1.0,
    num_channels: int = 256,
    num_head_channels: int = 64,
) -> torch.Tensor:
    """In float32: its README computes in float16."""
    flags = (("num_channels", num_channels), ("num_head_channels", num_head_channels))
    model, classifier, diffusion = _loaded(folder, device, image_size, num_inference_steps, flags)
    labels = torch.tensor(classes, device=device)

    def guide(x: torch.Tensor, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        with torch.enable_grad():
            wanted = x.detach().requires_grad_(True)
            chosen = classifier(wanted, t).log_softmax(dim=-1)[range(len(y)), y]
            return torch.autograd.grad(chosen.sum(), wanted)[0] * classifier_scale

    with own_noise(seeds):
        return diffusion.p_sample_loop(
            model,
            (len(seeds), 3, image_size, image_size),
            clip_denoised=True,
            model_kwargs={"y": labels},
            cond_fn=guide,
            device=device,
        )
