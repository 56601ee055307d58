"""The names of the walls of the sandbox, and the switch that takes one down on an unusual node.

`CF_WITHOUT_WALL=landlock,seccomp cf-sample` does without these two. Whatever stands less than on other nodes is said:
in the log, the outcomes, the summary of the run and `cf-status`.
"""

import os
from collections.abc import Iterable
from typing import TypeAlias

from workspace.errors import UsageError

#: Names of walls.
Walls: TypeAlias = tuple[str, ...]

#: The variable with the names of walls to do without, separated by commas.
WITHOUT = "CF_WITHOUT_WALL"

#: All walls, in the order in which they are built.
WALLS: Walls = ("audit", "memory", "network", "limits", "landlock", "seccomp")


def switched_off() -> frozenset[str]:
    """The walls that the environment says to do without. Raises `UsageError` for a name that no wall has."""
    names = frozenset(name.strip() for name in os.environ.get(WITHOUT, "").split(",") if name.strip())
    unknown = ", ".join(sorted(names - set(WALLS)))
    if unknown:
        raise UsageError(f"{WITHOUT} names no wall of the sandbox: {unknown}; they are {', '.join(WALLS)}")
    return names


def walls_text(standing: Iterable[str]) -> str:
    """Which walls are missing, in words; empty where none is."""
    gone = missing(standing)
    return f"without {', '.join(gone)} of the sandbox (docs/sandbox.md)" if gone else ""


def missing(standing: Iterable[str]) -> Walls:
    """The walls that do not stand, as far as that opens something: a network of its own, which many systems refuse,
    adds nothing where seccomp refuses the network."""
    standing = set(standing)
    return tuple(wall for wall in WALLS if wall not in standing and not (wall == "network" and "seccomp" in standing))
