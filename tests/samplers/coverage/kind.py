"""How a pipeline class is sampled from tiny weights."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any


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
