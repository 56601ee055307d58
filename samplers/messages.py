"""What supervisor and child say to each other.

The supervisor's words are pickled dataclasses: it is trusted. The child's are JSON, because it works on strangers'
files: what it sends can be wrong, but reading it cannot run anything in the process that holds the token.
"""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, get_args

from crawler.reasons import Reason
from samplers.outcomes import Status
from samplers.plan import Plan
from samplers.sample import Memory


@dataclass(frozen=True, kw_only=True)
class Start:
    """What a child needs before the first generator."""

    checker: Path
    """Folder of the safety checker's files."""
    device: str
    """auto | cpu | cuda:N"""
    home: Path
    """An empty folder that stands for the user's Hugging Face home."""
    stderr: Path
    weights: Path
    """Below it lie the files of generators: it may be read."""
    workspace: Path
    """Below it images and rows are written."""
    memory: int | None
    """Bytes the child may fill; None: as many as there are."""


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """One generator to sample, from where it stands."""

    plan: Plan
    workspace: Path
    folder: Path
    base_folder: Path | None
    """Where the base of an adapter lies; None for a checkpoint."""
    next_index: int
    next_part: int
    call_size: int
    kept: frozenset[str]
    memory: Memory | None = None
    """How memory had to be saved before; None: it was enough."""
    hashes: dict[str, str] = field(default_factory=dict)
    """What the content of each file is known by, by its path in the folder that holds the pipeline (of an adapter:
    its base's): components made from the same are loaded once."""


@dataclass(frozen=True, kw_only=True)
class Ready:
    """The checker works; `device` is what was found."""

    device: str
    walls: list[str] = field(default_factory=list)
    """Names of the walls that stand around the child (samplers/child/walls/sandbox.py)."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """A phase is over: the generator is loaded, or one more batch is through."""

    kept: int
    tries: int

    def __post_init__(self) -> None:
        if not (isinstance(self.kept, int) and isinstance(self.tries, int)):
            raise ValueError("counts are whole numbers")


@dataclass(frozen=True, kw_only=True)
class Result:
    """The generator is through, well or not."""

    status: Status
    detail: str | None = None
    reason: Reason | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.reason is not None:
            object.__setattr__(self, "reason", Reason(self.reason))
        timed = isinstance(self.seconds, dict) and all(isinstance(value, float) for value in self.seconds.values())
        if self.status not in get_args(Status) or not timed:
            raise ValueError("not how a generator can end")


@dataclass(frozen=True, kw_only=True)
class Fatal:
    """Not the generator's fault, so no generator can be sampled: no checker, no device, no space left."""

    detail: str


FromChild: TypeAlias = Ready | Progress | Result | Fatal

_KINDS: dict[str, Any] = {kind.__name__: kind for kind in (Ready, Progress, Result, Fatal)}


def encode(message: FromChild) -> bytes:
    """A child's message as bytes."""
    return json.dumps([type(message).__name__, dataclasses.asdict(message)]).encode()


def decode(text: bytes) -> FromChild:
    """The message in `text`; raises `ValueError` when there is none."""
    try:
        name, values = json.loads(text)
        message: FromChild = _KINDS[name](**values)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not a message: {text[:100]!r}") from error
    return message
