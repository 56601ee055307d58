"""Names that web UIs and authors give to the schedulers of diffusers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

# https://huggingface.co/docs/diffusers/api/schedulers/overview. "DPM++ SDE" can be either of two classes.
_CLASSES = {
    "euler": "EulerDiscreteScheduler",
    "euler a": "EulerAncestralDiscreteScheduler",
    "euler ancestral": "EulerAncestralDiscreteScheduler",
    "heun": "HeunDiscreteScheduler",
    "lms": "LMSDiscreteScheduler",
    "ddim": "DDIMScheduler",
    "ddpm": "DDPMScheduler",
    "pndm": "PNDMScheduler",
    "lcm": "LCMScheduler",
    "unipc": "UniPCMultistepScheduler",
    "deis": "DEISMultistepScheduler",
    "dpm2": "KDPM2DiscreteScheduler",
    "dpm2 a": "KDPM2AncestralDiscreteScheduler",
    "dpm++ 2m": "DPMSolverMultistepScheduler",
    "dpm++ 2m sde": "DPMSolverMultistepScheduler",
}
# The others have no Karras noise schedule.
_WITH_KARRAS = frozenset(
    {"EulerDiscreteScheduler", "HeunDiscreteScheduler", "LMSDiscreteScheduler", "KDPM2DiscreteScheduler"}
    | {"KDPM2AncestralDiscreteScheduler", "DPMSolverMultistepScheduler", "UniPCMultistepScheduler"}
    | {"DEISMultistepScheduler"}
)
#: What web UIs call the scheduler beside the sampler: how the noise is spaced.
NOISE_SCHEDULES = frozenset({"automatic", "beta", "exponential", "karras", "normal", "sgm uniform", "simple"})
_CLASS = re.compile(r"^[A-Z]\w{2,60}Scheduler$", re.ASCII)
#: Any of the names in a text, those too that are no class of diffusers.
SAMPLER = re.compile(
    r"(?<![\w+])(?:k_)?(?:euler[ _](?:a|ancestral)|dpm\+\+ ?(?:2m(?: sde)?|2s(?: a)?|3m sde|sde)|dpm2(?: a)?|euler|heun"
    r"|lms|ddim|pndm|lcm|unipc|deis|dpm fast|dpm adaptive)(?: karras)?(?![\w+])",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Sampler:
    """A scheduler class, and the settings of it that its name means."""

    class_name: str
    settings: Mapping[str, str | bool] = field(default_factory=dict)


def with_karras(sampler: Sampler) -> Sampler:
    """The same sampler with a Karras noise schedule, if its class has one."""
    if sampler.class_name not in _WITH_KARRAS:
        return sampler
    return Sampler(sampler.class_name, {**sampler.settings, "use_karras_sigmas": True})


def sampler_named(text: str) -> Sampler | None:
    """The scheduler of a name such as "Euler a" or "DPM++ 2M Karras", or of a class name; None: it is no such name."""
    name = " ".join(text.strip("`. ").split())
    if _CLASS.match(name):
        return Sampler(name)
    name = name.lower().replace("_", " ").removeprefix("k ").replace("dpm++2m", "dpm++ 2m")
    plain = name.removesuffix(" karras")
    class_name = _CLASSES.get(plain)
    if class_name is None:
        return None
    sampler = Sampler(class_name, {"algorithm_type": "sde-dpmsolver++"} if plain.endswith(" sde") else {})
    return with_karras(sampler) if plain != name else sampler
