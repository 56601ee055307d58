"""Charts, drawn by matplotlib as SVG inside the page.

A chart has rows with a name and a number for each series; a row's bars are below its name, so that long names fit and
the chart is readable on a phone. Text stays text: it can be searched, and takes the page's font. Colours are variables
of the page, so that a chart is light or dark as the page is. Names are texts of unknown authors: matplotlib escapes
them for XML, does not read them as formulas, and gets no character that cannot be printed.

The same rows give the same bytes. A drawing has no date, and no ids, which would be repeated in the page.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from markupsafe import Markup

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Width of a chart, in units that are pixels where the page shows three of them side by side.
WIDTH = 360

#: Rows of a chart at most; the others are summed up in one row.
ROWS = 12

#: Characters of a name that are drawn; the table below the chart has the whole name.
NAME = 48

#: Space to the right of the longest bar for its number.
_NUMBER = 66

#: Height of a row's name, of one bar with its number, and of the space between two rows.
_TITLE, _BAR, _GAP = 16, 13, 6

#: The colours that matplotlib draws with, and the variables that replace them in the page.
_SERIES = ("#2f6f8f", "#c26a1f", "#8a8f95", "#5b8a3c")
_REST = _SERIES[2]
_COLOURS = {colour: f"var(--series-{number})" for number, colour in enumerate(_SERIES, start=1)}
_INK, _SOFT = "#1c1e21", "#63686f"
_COLOURS |= {_INK: "var(--ink)", _SOFT: "var(--soft)"}

_SVG = "http://www.w3.org/2000/svg"


@dataclass(frozen=True)
class Row:
    """A name, and its number in each series. `rest`: the sum of several names that have no row of their own."""

    name: str
    values: tuple[float, ...]
    rest: bool = False


@dataclass(frozen=True)
class Chart:
    """What a chart shows. `shares`: the numbers are shares of one. `upright`: a few columns in order of time."""

    title: str
    rows: tuple[Row, ...]
    series: tuple[str, ...] = ()
    shares: bool = False
    upright: bool = False

    def formatted(self, value: float) -> str:
        """A number as it is shown."""
        return percent(value) if self.shares else count(int(value))

    @property
    def svg(self) -> Markup:
        """The drawing as an element of the page; within `drawing`."""
        return _draw(self)


@contextmanager
def drawing() -> Iterator[None]:
    """Where charts are drawn, all of a page at once: to set matplotlib's hundreds of defaults takes as long as a
    chart."""
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()  # the user's own matplotlibrc has no effect
        matplotlib.rcParams.update({"svg.fonttype": "none", "font.size": 11.5})
        # The page's font may have the characters that matplotlib's own lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def ranked(title: str, counts: dict[str, int]) -> Chart:
    """A chart of counts, longest bar first; the smallest ones are summed up where there are too many."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    if len(ordered) > ROWS:
        rest = ordered[ROWS - 1 :]
        others = [Row(f"{count(len(rest))} others", (sum(value for _, value in rest),), rest=True)]
        ordered = ordered[: ROWS - 1]
    else:
        others = []
    return Chart(title, (*(Row(name, (value,)) for name, value in ordered), *others))


def count(number: int) -> str:
    """A count as it is shown: narrow spaces between thousands, at which no line breaks."""
    return f"{number:,}".replace(",", "\u202f")


def percent(share: float) -> str:
    """A share as it is shown; 0 % and 100 % only for exactly none and exactly all."""
    if 0 < share < 0.01:
        return "<1\u00a0%"
    return ">99\u00a0%" if 0.99 < share < 1 else f"{share:.0%}".replace("%", "\u00a0%")


def _draw(chart: Chart) -> Markup:
    from matplotlib.figure import Figure

    canvas = _Canvas(Figure(facecolor="none"))
    if chart.upright:
        _columns(canvas, chart)
    else:
        _bars(canvas, chart)
    drawn = io.BytesIO()
    canvas.figure.savefig(drawn, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return _inline(drawn.getvalue(), chart)


class _Canvas:
    """A figure in the units of the SVG: x to the right, y downwards. It has no axes, which take longer
    than all else."""

    def __init__(self, figure: "Figure") -> None:
        self.figure = figure

    def set_height(self, height: float) -> None:
        """To be called first."""
        from matplotlib.transforms import Affine2D

        height = max(height, 1)  # a chart without rows
        self.figure.set_size_inches(WIDTH / 72, height / 72)
        self._units = Affine2D().scale(1 / WIDTH, -1 / height).translate(0, 1) + self.figure.transFigure

    def bar(self, left: float, top: float, width: float, height: float, color: str) -> None:
        """A rectangle."""
        from matplotlib.patches import Rectangle

        self.figure.add_artist(Rectangle((left, top), width, height, color=color, transform=self._units, linewidth=0))

    def text(self, x: float, y: float, text: str, color: str, align: str = "left") -> None:
        """A text that stands on `y`."""
        self.figure.text(x, y, text, color=color, ha=align, parse_math=False, transform=self._units)


def _bars(canvas: _Canvas, chart: Chart) -> None:
    """Horizontal bars, one for each row and series."""
    number_of_series = len(chart.series) or 1
    top, height = 24 if chart.series else 0, _TITLE + number_of_series * _BAR + _GAP
    canvas.set_height(top + height * len(chart.rows))
    longest = max((value for row in chart.rows for value in row.values), default=0) or 1
    starts = [top + height * number for number in range(len(chart.rows))]
    for number in range(number_of_series):
        for row, start in zip(chart.rows, starts, strict=True):
            value, middle = row.values[number], start + _TITLE + _BAR * (number + 0.5)
            width = max(value / longest * (WIDTH - _NUMBER), 1 if value else 0)
            canvas.bar(0, middle - 4.5, width, 9, color=_REST if row.rest else _SERIES[number])
            canvas.text(width + 5, middle + 4, chart.formatted(value), color=_SOFT)
    for row, start in zip(chart.rows, starts, strict=True):
        canvas.text(0, start + 11, _printable(row.name), color=_INK)
    for number, name in enumerate(chart.series):
        left = min(110, WIDTH // number_of_series) * number
        canvas.bar(left, 3, 8, 8, color=_SERIES[number])
        canvas.text(14 + left, 11, name, color=_SOFT)


def _columns(canvas: _Canvas, chart: Chart) -> None:
    """Vertical columns of one series."""
    height, foot = 150, 20
    canvas.set_height(height + foot)
    step = WIDTH / max(len(chart.rows), 4)
    highest = max((row.values[0] for row in chart.rows), default=0) or 1
    for number, row in enumerate(chart.rows):
        middle = step * (number + 0.5)
        column = row.values[0] / highest * (height - 18)
        canvas.bar(middle - step * 0.35, height - column, step * 0.7, column, color=_SERIES[0])
        canvas.text(middle, height - column - 4, chart.formatted(row.values[0]), color=_SOFT, align="center")
        canvas.text(middle, height + 14, _printable(row.name), color=_INK, align="center")


def _printable(name: str) -> str:
    """A name on one line, without characters that cannot be printed, shortened to `NAME`."""
    name = "".join(character if character.isprintable() else "\ufffd" for character in " ".join(name.split()))
    return name if len(name) <= NAME else f"{name[: NAME - 1]}…"


def _inline(drawn: bytes, chart: Chart) -> Markup:
    """An SVG file as an element of the page: as wide as its column, in the page's font and colours."""
    ElementTree.register_namespace("", _SVG)
    root = ElementTree.fromstring(drawn)
    for styles in root.findall(f"{{{_SVG}}}defs[{{{_SVG}}}style]"):  # they would apply to the whole page
        root.remove(styles)
    for element in root.iter():
        style = element.get("style", "")
        for colour, variable in _COLOURS.items():
            style = style.replace(colour, variable)
        if style:
            element.set("style", "; ".join(part for part in style.split("; ") if not part.startswith("font-family")))
        element.attrib.pop("id", None)  # no element refers to an id: nothing is clipped and no mark is reused
    for absolute in ("width", "height", "version"):
        root.attrib.pop(absolute, None)
    root.set("role", "img")
    root.set("aria-label", chart.title)
    return Markup(ElementTree.tostring(root, encoding="unicode"))
