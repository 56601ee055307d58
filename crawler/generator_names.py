"""Generators that options name: ORG/NAME, a shell pattern over ORG/NAME, or @FILE with such lines."""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property
from pathlib import Path

from workspace.errors import UsageError

#: Before the name of a file of names: no repository has it in its name.
_FILE = "@"
_WILDCARDS = frozenset("*?[")
_NOTHING = r"(?!)"


@dataclass(frozen=True)
class GeneratorNames:
    """Names and shell patterns, of the option itself and of the files that it names."""

    given: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()

    @classmethod
    def parse(cls, texts: Iterable[str], option: str) -> "GeneratorNames":
        """Read the values of an option; a file has one name or pattern a line, lines with # are comments.

        Raises `UsageError` for a file that cannot be read, or that has no or another line.
        """
        given: dict[str, None] = {}
        listed: dict[str, None] = {}
        for text in texts:
            if text.startswith(_FILE):
                listed |= dict.fromkeys(_lines(Path(text.removeprefix(_FILE)), f"{option} {text}"))
            else:
                given[text] = None
        return cls(tuple(given), tuple(listed))

    @property
    def texts(self) -> tuple[str, ...]:
        """All names and patterns, each once."""
        return tuple(dict.fromkeys((*self.given, *self.listed)))

    def __bool__(self) -> bool:
        return bool(self.given or self.listed)

    def match(self, *names: str) -> bool:
        """Whether one of the names of a generator is among them."""
        return any(name in self._literal or self._pattern.match(name) is not None for name in names)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        """All patterns as one regular expression: there may be hundreds, for thousands of generators."""
        return re.compile("|".join(translate(text) for text in self.texts if is_pattern(text)) or _NOTHING)

    @cached_property
    def _literal(self) -> frozenset[str]:
        return frozenset(self.texts)


def named_by(text: str, names: Collection[str]) -> list[str]:
    """Those of `names` that a name or a pattern stands for."""
    if not is_pattern(text):
        return [text] if text in names else []
    pattern = re.compile(translate(text))
    return [name for name in names if text == name or pattern.match(name)]


def is_pattern(text: str) -> bool:
    """Whether a text has a wildcard: one without is a name."""
    return bool(_WILDCARDS & set(text))


def _lines(path: Path, given: str) -> Iterator[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise UsageError(f"{given}: {reason}") from error
    lines = ((number, line.strip()) for number, line in enumerate(text.splitlines(), start=1))
    named = [(number, line) for number, line in lines if line and not line.startswith("#")]
    if not named:
        raise UsageError(f"{given}: it names no generator")
    for number, line in named:
        if len(line.split()) > 1 or "://" in line or "," in line:
            raise UsageError(f"{given}: line {number}, {line[:60]!r}, is neither ORG/NAME nor a pattern such as ORG/*")
        yield line
