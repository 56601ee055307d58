"""The messages between supervisor and child.

The supervisor sends pickled dataclasses: it is trusted. The child sends JSON, because it opens untrusted files: a
message of it can be wrong, but reading it cannot run code in the process that has the token. Every message has a
largest size, a known shape and a deadline (`channel`, `worker`); images follow as bytes, and are checked with their
rows (`batch_checks`).
"""

import dataclasses
import json
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from crawler.reasons import Reason
from samplers.outcomes import OF_CHILD, PHASES, Status
from samplers.planning.plan import Plan
from samplers.sample import Memory
from workspace.printable import printable_values


@dataclass(frozen=True, kw_only=True)
class Start:
    """What a child gets at its start."""

    checker: Path
    """Folder of the safety checker's files."""
    device: str
    """auto | auto:N, the GPU of that number where there are so many | cpu | cuda:N"""
    home: Path
    """An empty folder, used as the home directory and as Hugging Face's."""
    stderr: Path
    """File for the child's standard output and standard error."""
    weights: Path
    """Folder of all generators' files, which the child may read."""
    memory: int | None
    """Bytes that the child may use; None: no limit."""
    mapped: int | None = None
    """Bytes that it may map of weights beside that, as many as the largest generator has; None: no limit."""
    without_walls: tuple[str, ...] = ()
    """Walls of the sandbox that are not built (workspace/sandbox/walls.py)."""


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """Samples of one segment of a generator: those in [first, stop), or fewer where enough images are kept."""

    plan: Plan
    folder: Path
    """The generator's files."""
    base_folder: Path | None
    """The files of an adapter's base model; None for a checkpoint."""
    prior_folder: Path | None = None
    """The files of the prior that a decoder needs; None: it needs none."""
    first: int = 0
    """The index of the first sample to make."""
    stop: int | None = None
    """The index after the last one; None: that of the plan."""
    images: int | None = None
    """Distinct images at which it ends before that, `kept` included; None: all samples are made."""
    call_size: int
    """Images of one pipeline call."""
    kept: frozenset[str] = frozenset()
    """The sha256 of every image kept so far."""
    memory: Memory | None = None
    """How memory was saved before; None: not at all."""
    cpu_threads: int | None = None
    """Threads of a CPU that computed it before; None: as many as the machine says."""
    hashes: dict[str, str] = field(default_factory=dict)
    """Content keys of the pipeline's files (of an adapter or a single file: its base's), by path in their folder:
    components of the same content are loaded once."""
    single_file_key: str | None = None
    """Content key of a checkpoint in one file; None: it is none."""
    prior_hashes: dict[str, str] = field(default_factory=dict)
    """Content keys of the prior's files."""
    stays: bool = False
    """Whether the generator stays loaded afterwards, for further samples of it, until `Unload` or another one."""


@dataclass(frozen=True)
class Unload:
    """No more is sampled of the generator that stays loaded."""


@dataclass(frozen=True, kw_only=True)
class Ready:
    """The safety checker works, on `device`."""

    device: str
    sandbox: list[str] = field(default_factory=list)
    """The walls of the sandbox that stand (workspace/sandbox/walls.py)."""

    def __post_init__(self) -> None:
        if not isinstance(self.device, str) or not _are(self.sandbox, str):
            raise ValueError("not a device and the walls of its sandbox")


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The generator is loaded, or one more batch was sampled."""

    tries: int
    """Samples made so far, before they are checked."""

    def __post_init__(self) -> None:
        if type(self.tries) is not int:
            raise ValueError("tries must be a whole number")


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The next batch, checked and encoded; the PNG file of each row that is kept follows as a message of its own."""

    rows: list[dict[str, Any]]
    """Samples (samplers/sample.py) as plain values, without the column `image`."""

    def __post_init__(self) -> None:
        if not _are(self.rows, dict):
            raise ValueError("rows must be objects")


@dataclass(frozen=True, kw_only=True)
class Result:
    """The assignment is done, or the generator failed."""

    status: Status
    detail: str | None = None
    reason: Reason | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    device_lost: bool = False
    """Whether the process cannot use its device any more: an error in a kernel ends that for the whole process."""

    def __post_init__(self) -> None:
        if self.reason is not None:
            object.__setattr__(self, "reason", Reason(self.reason))
        timed = (
            isinstance(self.seconds, dict) and self.seconds.keys() <= set(PHASES) and _are(self.seconds.values(), float)
        )
        if (
            self.status not in OF_CHILD
            or not timed
            or not isinstance(self.detail, str | None)
            or type(self.device_lost) is not bool
        ):
            raise ValueError("not a valid result")


@dataclass(frozen=True, kw_only=True)
class Fatal:
    """No generator can be sampled: no safety checker, or no device."""

    detail: str

    def __post_init__(self) -> None:
        if not isinstance(self.detail, str):
            raise ValueError("not a text")


FromChild: TypeAlias = Ready | Progress | Batch | Result | Fatal

_KINDS: dict[str, Any] = {kind.__name__: kind for kind in (Ready, Progress, Batch, Result, Fatal)}

#: Bytes of a message at most, those of images apart: a batch of many long prompts has a tenth.
MAX_MESSAGE = 8 << 20


def encode(message: FromChild) -> bytes:
    """A message of the child as bytes."""
    return json.dumps([type(message).__name__, dataclasses.asdict(message)]).encode()


def decode(text: bytes) -> FromChild:
    """The message in `text`, its texts made printable; raises `ValueError` where it is not one."""
    try:
        name, values = json.loads(text, parse_constant=_no_number)
        # Rows are compared with the plan as they are.
        message: FromChild = _KINDS[name](**(values if name == Batch.__name__ else printable_values(values)))
    # Deep nesting exhausts the stack of whoever reads it.
    except (TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a message: {text[:100]!r}") from error
    return message


def _are(values: Any, kind: type) -> bool:
    return isinstance(values, Collection) and all(type(value) is kind for value in values)


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is not a number of JSON")
