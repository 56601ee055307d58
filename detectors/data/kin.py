"""Kin groups: generators that are related, directly or through others, by an ancestor, equal weights or equal images.

A detector that was trained on one of a group has seen the traces of the others. Each group is named after the first of
its generators by name.
"""

from collections.abc import Mapping
from typing import Literal

Kin = Literal["exclude", "ignore"]
"""exclude: generators related to a tested one are in no other part; ignore: as in the study, they may be."""


class Kinship:
    """Who is related to whom: a disjoint-set forest (Tarjan 1975) over names of generators and of what they share."""

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}
        self._generators: set[str] = set()

    def add(self, generator: str) -> None:
        """A generator, which may have no kin."""
        self._generators.add(generator)

    def unite(self, generator: str, other: str) -> None:
        """Two names that are one group: generators, ancestors, or anything else that both have."""
        first, second = sorted((self._root(generator), self._root(other)))
        if first != second:
            self._parents[second] = first

    def groups(self) -> Mapping[str, str]:
        """The group of each generator that was added."""
        names: dict[str, str] = {}
        for generator in sorted(self._generators):
            names.setdefault(self._root(generator), generator)
        return {generator: names[self._root(generator)] for generator in self._generators}

    def _root(self, name: str) -> str:
        path = []
        while (parent := self._parents.get(name, name)) != name:
            path.append(name)
            name = parent
        self._parents.update(dict.fromkeys(path, name))
        return name
