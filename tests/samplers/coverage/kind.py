"""How a pipeline class is sampled from tiny weights."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from tests.scale import scaled

#: The classes that `make test` samples, each for something that our own code does for it; `make soak` samples all of
#: them. The demo samples the classes of its zoo from end to end.
REPRESENTATIVES = (
    "DDPMPipeline",  # no words, pixels
    "DiTPipeline",  # class labels
    "KarrasVePipeline",  # a scheduler that its repository looks for elsewhere
    "IFPipeline",  # pixels, a stage that is sampled without the others
    "StableDiffusionPipeline",
    "StableDiffusionGLIGENPipeline",  # arguments that are lists
    "StableDiffusionPAGPipeline",  # a class of a variant, around another's components
    "AltDiffusionPipeline",  # a component whose library diffusers has moved
    "VQDiffusionPipeline",  # tokens in place of latents
    "KandinskyV22CombinedPipeline",  # a prior and a decoder in one
    "StableCascadeCombinedPipeline",  # the same, of other libraries and sizes
    "FluxPipeline",  # two text encoders, a transformer
    "PixArtAlphaPipeline",  # sizes that are binned
    "StableDiffusion3Pipeline",  # three text encoders
    "PRXPipeline",  # a text encoder of a part of diffusers
    "QwenImagePipeline",  # a model of images and texts reads
    "SanaPipeline",  # a language model reads
)


def chosen(kinds: "Mapping[str, Kind]") -> list[str]:
    """The names of the classes to sample, of those of a test file."""
    return scaled(sorted(kinds.keys() & set(REPRESENTATIVES)), sorted(kinds))


@dataclass(frozen=True)
class Kind:
    """One pipeline class: who builds it, and what it is asked for."""

    make: Callable[[], Any]
    """The pipeline, its random weights drawn from torch's global generator."""
    side: int = 64
    """Pixels that its images are high and wide."""
    asked: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """What a card would say: fields of `Hyperparameters`, and any other argument of the call."""
    libraries: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """By component, what the repositories of its time call its library: diffusers has moved these classes since, and
    writes names that it could not read again."""


def sized(side: int, **asked: Any) -> Mapping[str, Any]:
    """Asking for a square image of that side, where the pipeline's own default is larger."""
    return {"height": side, "width": side, **asked}
