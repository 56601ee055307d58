"""Which tensors of a single-file checkpoint belong to which component of a pipeline.

Programs other than diffusers keep a whole pipeline in one file, each part under a prefix of its own: that of Stable
Diffusion's first code (SD 1, SD 2, SDXL), that of Stable Diffusion 3, and that which ComfyUI writes for Flux. A part
may be missing: many files of SD 3 and of Flux are a transformer only. Crawler and sampler read the names with this one
module, so that both mean the same parts. It imports nothing but the standard library.

The prefixes are those of the files, as diffusers/loaders/single_file_utils.py has them too.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

#: Components that run at every step, by their names in diffusers' pipelines.
DENOISERS = ("unet", "transformer")
#: The prefix of the denoiser. Files of a denoiser alone may have none.
DENOISER_PREFIX = "model.diffusion_model."
_DIFFUSERS_DENOISER = re.compile(r"(?:down_blocks|transformer_blocks|single_transformer_blocks)\.")
_BARE_DENOISER = re.compile(r"(?:input_blocks|joint_blocks|double_blocks|img_in)\.")
#: Of each component: the classes that a prefix is of, and the prefixes, of which a file has one.
_PREFIXES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("unet|transformer", ".*", (DENOISER_PREFIX,)),
    ("vae", ".*", ("first_stage_model.", "vae.")),
    ("text_encoder", "CLIP.*", ("cond_stage_model.", "conditioner.embedders.0.", "text_encoders.clip_l.")),
    ("text_encoder_2", "CLIP.*", ("conditioner.embedders.1.", "text_encoders.clip_g.")),
    (r"text_encoder(?:_\d)?", "T5.*", ("text_encoders.t5xxl.",)),
)
#: Empty tensors that say how a model was trained, and what they mean (`crawler/single_files.py`).
MARKS = {"v_pred": "it predicts v", "ztsnr": "its noise ends at a signal of zero"}
#: Tensors of training: moving averages, losses, and numbers that the scheduler computes.
_TRAINING = re.compile(
    r"(?:v_pred|ztsnr)$|(?:first_stage_model\.)?(?:model_ema|loss)\.|(?:.*\.)?logit_scale$|denoiser\.sigmas$|edm_(?:mean|std)$"
    r"|(?:alphas|betas|sqrt|log_one_minus|posterior|lvlb|logvar|scale_factor)[\w.]*$"
)
#: What files have whose weights are numbers of few bits, which need a scale beside them.
_QUANTIZED = re.compile(
    r".*(?:\.|^)(?:scaled_fp8|scale_weight|scale_input|weight_scale|absmax|quant_map|quant_state.*)$"
)
_LORA = re.compile(r"(?:lora_(?:unet|te\d?|transformer)_.*|.*\.lora_(?:A|B|up|down)\..*|.*\.alpha)$")


@dataclass(frozen=True)
class Parts:
    """The names of a file's tensors by component."""

    names: Mapping[str, tuple[str, ...]]
    #: The prefix of each component's names; empty for a denoiser without one.
    prefixes: Mapping[str, str]
    #: Names that belong to no component of the pipeline, those of training left out.
    others: tuple[str, ...] = ()


def parts_of(names: Iterable[str], classes: Mapping[str, str]) -> Parts:
    """The parts of a checkpoint whose tensors have these names; `classes` are a pipeline's components with their
    classes."""
    left = dict.fromkeys(name for name in names if not _TRAINING.match(name))
    found: dict[str, tuple[str, ...]] = {}
    prefixes: dict[str, str] = {}
    for component, class_name in classes.items():
        for prefix in _prefixes(component, class_name):
            own = tuple(name for name in left if name.startswith(prefix))
            if own:
                found[component], prefixes[component] = own, prefix
                left = dict.fromkeys(name for name in left if not name.startswith(prefix))
                break
    denoiser = next((name for name in DENOISERS if name in classes), None)
    if denoiser is not None and denoiser not in found and any(_is_bare(name) for name in left):
        found[denoiser], prefixes[denoiser], left = tuple(left), "", {}
    return Parts(found, prefixes, tuple(left))


def is_original(names: Iterable[str]) -> bool:
    """Whether the names of a denoiser without prefix are those of its first code, not those of diffusers."""
    return any(_BARE_DENOISER.match(name) for name in names)


def quantized_name(names: Iterable[str]) -> str | None:
    """A tensor that only a quantized checkpoint has; None: there is none."""
    return next((name for name in names if _QUANTIZED.match(name)), None)


def lora_name(names: Iterable[str]) -> str | None:
    """A tensor that only a LoRA has; None: there is none."""
    return next((name for name in names if _LORA.match(name)), None)


def _is_bare(name: str) -> bool:
    return bool(_BARE_DENOISER.match(name) or _DIFFUSERS_DENOISER.match(name))


def _prefixes(component: str, class_name: str) -> tuple[str, ...]:
    return next(
        (
            prefixes
            for of_component, of_class, prefixes in _PREFIXES
            if re.fullmatch(of_component, component) and re.fullmatch(of_class, class_name)
        ),
        (),
    )
