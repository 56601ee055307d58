"""The arguments of a pipeline's call that are the same for all images: what the catalogue declares, by the signature.

A setting that the call does not take is an error: the images would be made without it. Without a value in the catalogue
an argument is omitted, so that the pipeline uses its default.
"""

import inspect
import re
from collections.abc import Mapping
from typing import Any

from samplers.child.failures import GeneratorError
from samplers.planning.plan import DECLARED, Plan
from samplers.user_settings import STEP_LISTS

#: Arguments that decide what is returned and how often, or that give other inputs: never taken from a model card.
_RESERVED = frozenset(
    {
        "prompt",
        "class_labels",
        "batch_size",
        "generator",
        "output_type",
        "return_dict",
        "num_images_per_prompt",
        "latents",
        # The temperature of a model that rewrites prompts; none, as by default, leaves them as they are.
        "caption_upsample_temperature",
    }
)
#: Arguments that let a pipeline rewrite its prompts, some only where further packages are installed. Prompts are drawn
#: as they are, so that a row holds what its image was made from.
_REWRITING = ("clean_caption", "enable_prompt_enhancement", "enable_prompt_rewrite", "prompt_upsampling", "use_pe")
#: Arguments that can hold the scale of a LoRA, which its layers have already.
_WITH_SCALE = ("cross_attention_kwargs", "joint_attention_kwargs", "attention_kwargs")
#: Settings that every pipeline may lack; the catalogue has them from configuration files and defaults, too.
_USUAL = ("num_inference_steps", "guidance_scale", "height", "width", "negative_prompt")
_TUPLE = re.compile(r"\btuple\b", re.IGNORECASE)


class CallArguments:
    """The fixed arguments of one generator's calls, and the values that its rows repeat."""

    def __init__(self, pipeline: Any, plan: Plan) -> None:
        """Raises `GeneratorError` (load-failed) for a declared setting that the call does not take."""
        # A program has the signature of its function.
        signature = getattr(pipeline, "call_signature", None) or inspect.signature(pipeline.__call__)
        self.parameters: Mapping[str, inspect.Parameter] = signature.parameters
        self._pipeline = pipeline
        wanted = plan.hyperparameters
        extra = {
            name: _without_scale(name, value, plan) for name, value in plan.extra.items() if not _is_reserved(name)
        }
        usual = {name: getattr(wanted, name) for name in _USUAL}
        declared = extra | {name: usual[name] for name in _USUAL if getattr(plan.sources, name) in DECLARED}
        for name, value in declared.items():
            if value is not None and name not in self.parameters:
                detail = f"{plan.stated_by(name)} {name}={value!r}, which a {type(pipeline).__name__} does not take"
                raise GeneratorError("load-failed", detail)
        # One negative prompt for each prompt is given with the call.
        del usual["negative_prompt"]
        self.fixed: dict[str, Any] = {
            name: _as_annotated(value, self.parameters[name])
            for name, value in (extra | usual).items()
            if value is not None and name in self.parameters
        }
        self.fixed |= {name: False for name in _REWRITING if name in self.parameters}
        if "output_type" in self.parameters:
            self.fixed["output_type"] = "np"
        self.guidance_scale: float | None = self._value("guidance_scale", wanted.guidance_scale)
        self.negative_prompt: str | None = self._value("negative_prompt", wanted.negative_prompt)
        self.clip_skip: int | None = self.fixed.get("clip_skip")
        self._steps: int | None = self._value("num_inference_steps", wanted.num_inference_steps)

    @property
    def num_inference_steps(self) -> int | None:
        """The steps of the last call; a list of them counts, whatever their number is declared to be."""
        listed = next((self.fixed[name] for name in STEP_LISTS if name in self.fixed), None)
        if listed is None:
            return self._steps
        # Of sigmas, some schedulers expect the last one in the list, and some add it.
        taken = getattr(getattr(self._pipeline, "scheduler", None), "num_inference_steps", None)
        return taken if isinstance(taken, int) else len(listed)

    def _value(self, name: str, wanted: Any) -> Any:
        """The value that the call will use: the catalogue's, else the pipeline's default; None where it has no such
        argument."""
        if name not in self.parameters:
            return None
        default = self.parameters[name].default
        if wanted is None and isinstance(default, int | float | str):
            return default or None if isinstance(default, str) else default
        return wanted


def _is_reserved(name: str) -> bool:
    return name in _RESERVED or name in _REWRITING or "callback" in name


def _without_scale(name: str, value: Any, plan: Plan) -> Any:
    """The argument without the scale of the LoRA, which would count twice; raises `GeneratorError` for another one."""
    if plan.kind != "lora" or name not in _WITH_SCALE or not isinstance(value, dict) or "scale" not in value:
        return value
    scale = plan.hyperparameters.adapter_scale
    if value["scale"] != (1.0 if scale is None else scale):
        detail = f"adapter_scale: the catalogue declares {scale}, and in {name} {value['scale']!r}"
        raise GeneratorError("load-failed", detail)
    return {key: each for key, each in value.items() if key != "scale"} or None


def _as_annotated(value: Any, parameter: inspect.Parameter) -> Any:
    """A list as a tuple, where the argument is one: JSON has lists only, and pipelines add tuples to tuples."""
    is_tuple = isinstance(parameter.default, tuple) or _TUPLE.search(str(parameter.annotation)) is not None
    return tuple(value) if isinstance(value, list) and is_tuple else value
