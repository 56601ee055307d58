"""Engines: what calls a function with many items in other processes, here or on a cluster.

An engine knows no stage, and holds nothing that the workspace does not: the function leaves its work in the workspace,
so everything may be killed at any time, and any other engine, or none, goes on with the same command.
"""

import pickle
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, Protocol, TypeVar, get_args

from workspace.errors import CommunityForensicsError, UsageError, in_one_line

T = TypeVar("T")
R = TypeVar("R")

EngineName = Literal["local", "ray"]
"""Processes on this machine, or of a Ray cluster."""

#: Times that an item is called whose process or machine is lost each time: then it may be the reason.
TRIES = 3


class LostError(CommunityForensicsError):
    """The process of an item, or its machine, was lost each time that the item was called."""


class Engine(Protocol):
    """Calls a function with many items in other processes."""

    def workers(self, gpus: int = 0) -> int:
        """How many calls run at the same time, each with so many GPUs of its own (0: on a CPU). Raises `UsageError`
        where it has none."""

    def machines(self) -> int:
        """How many machines it has."""

    def run(self, function: Callable[[T], R], items: Sequence[T], *, gpus: int = 0) -> Iterator[tuple[T, R]]:
        """Call `function` with each item; each item with its result, in the order in which they are ready.

        `function` is at the top level of its module; it, the items and the results can be pickled. It gets `gpus` GPUs
        of its own, as CUDA_VISIBLE_DEVICES has them. An item whose process or machine is lost is called again, `TRIES`
        times in all, then `LostError` is raised. What `function` raises is raised here. When this iterator is closed,
        or interrupted, the calls that run are interrupted (`KeyboardInterrupt`) and have a moment to end in order.
        """


def answer_of(function: Callable[[Any], Any], item: Any) -> bytes:
    """What a process sends back for an item: its result, or what was raised, pickled."""
    try:
        return pickle.dumps((True, function(item)))
    except Exception as error:
        if not isinstance(error, CommunityForensicsError):  # a bug, of which the traceback is needed
            error.add_note(f"In the process that was called:\n{traceback.format_exc()}")
        try:
            raised = pickle.dumps((False, error))
            pickle.loads(raised)  # some libraries' exceptions can be pickled, but not read again
        except Exception:
            return pickle.dumps((False, CommunityForensicsError(in_one_line(error))))
        return raised


def result_of(answer: bytes) -> Any:
    """The result in an answer; raises what the function raised."""
    succeeded, result = pickle.loads(answer)
    if not succeeded:
        raise result
    return result


def check_engine(engine: str, address: str | None, processes: int | None) -> None:
    """Raise `UsageError` for options of an engine that make no sense."""
    if engine not in get_args(EngineName):
        raise UsageError(f"--engine {engine!r} is not one of {', '.join(get_args(EngineName))}")
    if address is not None and engine != "ray":
        raise UsageError("--address names a Ray cluster: add --engine ray")
    if address == "":
        raise UsageError("--address must not be empty: name a Ray cluster, such as 10.0.0.5:6379")
    if processes is not None and processes < 1:
        raise UsageError("--processes must be at least 1")
