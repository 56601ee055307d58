"""The messages between supervisor and child.

The supervisor sends pickled dataclasses: it is trusted. The child sends JSON, because it opens untrusted files: a
message of it can be wrong, but reading it cannot run code in the process that has the token.
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
    """What a child gets at its start."""

    checker: Path
    """Folder of the safety checker's files."""
    device: str
    """auto | cpu | cuda:N"""
    home: Path
    """An empty folder, used as the home directory and as Hugging Face's."""
    stderr: Path
    """File for the child's standard output and standard error."""
    weights: Path
    """Folder of all generators' files, which the child may read."""
    workspace: Path
    """The workspace; the child may write its images and samples."""
    memory: int | None
    """Bytes that the child may use; None: no limit."""
    mapped: int | None = None
    """Bytes that it may map of weights beside that, as many as the largest generator has; None: no limit."""
    without_walls: tuple[str, ...] = ()
    """Walls of the sandbox that are not built (workspace/sandbox/walls.py)."""


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """One generator to sample, from its first missing sample on."""

    plan: Plan
    workspace: Path
    folder: Path
    """The generator's files."""
    base_folder: Path | None
    """The files of an adapter's base model; None for a checkpoint."""
    prior_folder: Path | None = None
    """The files of the prior that a decoder needs; None: it needs none."""
    next_index: int
    next_part: int
    call_size: int
    """Images of one pipeline call."""
    kept: frozenset[str]
    """The sha256 of every image kept so far."""
    memory: Memory | None = None
    """How memory was saved before; None: not at all."""
    hashes: dict[str, str] = field(default_factory=dict)
    """Content keys of the pipeline's files (of an adapter: its base's), by path in their folder: components of the same
    content are loaded once."""
    prior_hashes: dict[str, str] = field(default_factory=dict)
    """Content keys of the prior's files."""


@dataclass(frozen=True, kw_only=True)
class Ready:
    """The safety checker works, on `device`."""

    device: str
    sandbox: list[str] = field(default_factory=list)
    """The walls of the sandbox that stand (workspace/sandbox/walls.py)."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The generator is loaded, or one more batch is finished."""

    kept: int
    tries: int

    def __post_init__(self) -> None:
        if not (isinstance(self.kept, int) and isinstance(self.tries, int)):
            raise ValueError("kept and tries must be whole numbers")


@dataclass(frozen=True, kw_only=True)
class Result:
    """The generator is finished, or failed."""

    status: Status
    detail: str | None = None
    reason: Reason | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.reason is not None:
            object.__setattr__(self, "reason", Reason(self.reason))
        timed = isinstance(self.seconds, dict) and all(isinstance(value, float) for value in self.seconds.values())
        if self.status not in get_args(Status) or not timed:
            raise ValueError("not a valid result")


@dataclass(frozen=True, kw_only=True)
class Fatal:
    """No generator can be sampled: no safety checker, no device, or no space left."""

    detail: str


FromChild: TypeAlias = Ready | Progress | Result | Fatal

_KINDS: dict[str, Any] = {kind.__name__: kind for kind in (Ready, Progress, Result, Fatal)}


def encode(message: FromChild) -> bytes:
    """A message of the child as bytes."""
    return json.dumps([type(message).__name__, dataclasses.asdict(message)]).encode()


def decode(text: bytes) -> FromChild:
    """The message in `text`; raises `ValueError` where it is not one."""
    try:
        name, values = json.loads(text)
        message: FromChild = _KINDS[name](**values)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not a message: {text[:100]!r}") from error
    return message
