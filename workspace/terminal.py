"""The one place that prints: to a terminal, or to whatever standard output and standard error are.

Names, captions and reasons are texts of strangers. Whatever is printed goes through `printable`, so that none of it
reaches a terminal as a control sequence, and none of it is read as rich's markup. A character that the encoding of the
terminal lacks is written as an escape.
"""

import io
import sys
from collections.abc import Iterable
from typing import Any

import rich.console
from rich.segment import Segment

from workspace.printable import printable


class Console(rich.console.Console):
    """rich's console for texts of strangers: they keep no control characters; rich's own sequences stay."""

    def __init__(self, *, stderr: bool = False) -> None:
        """A console of standard output, or of standard error."""
        super().__init__(stderr=stderr, markup=False, emoji=False, highlight=False)

    def render(
        self, renderable: rich.console.RenderableType, options: rich.console.ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """The segments of a renderable, each with a printable text."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))


def say(text: Any, *, err: bool = False) -> None:
    """Print a text and a newline to standard output, or to standard error."""
    print(printable(str(text)), file=sys.stderr if err else sys.stdout, flush=True)


def accept_every_character() -> None:
    """Write what the encoding of standard output and standard error lacks as an escape, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
