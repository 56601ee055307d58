"""Real images against generated ones: formats, modes and sizes, and in words where they differ.

A detector learns whatever tells the two apart, and a file's format or size is easier to learn than a generator's
traces. So the report says of each trait how often somebody would be right who knows it alone and guesses, shown as
many real images as generated ones: 50 in 100 where it says nothing, 100 in 100 where it says everything.
"""

from dataclasses import dataclass

from manifests.manifest import FAKE, REAL
from manifests.report.charts import ROWS, Chart, Row, percent
from manifests.report.rows import Rows

#: A trait is warned of when guessing by it is right more often than this.
WARNED = 0.6

#: Upper ends of the bins of sizes, pixels.
_SIZES = (64, 128, 256, 384, 512, 768, 1024, 1536, 2048, 4096)

SERIES = ("generated", "real")

_FORMAT, _MODE = "format", "coalesce(mode, 'mode unknown')"
_TRAITS = {
    "format": _FORMAT,
    "colour mode": _MODE,
    "size": "concat(width, ' × ', height)",
}


@dataclass(frozen=True)
class Shortcut:
    """A trait that tells real from generated: how often a guess by it alone is right, and what differs."""

    trait: str
    accuracy: float
    words: str


@dataclass(frozen=True)
class Comparison:
    """How real and generated images differ before anybody looks at their pixels."""

    charts: tuple[Chart, ...]
    shortcuts: tuple[Shortcut, ...]


def compare(rows: Rows) -> Comparison | None:
    """The comparison; None where there are not both kinds of images."""
    generated, real = (
        rows.ask(f"SELECT count(*) AS n FROM manifest WHERE label = {kind}")[0]["n"] for kind in (FAKE, REAL)
    )
    if not (generated and real):
        return None
    charts = (
        _shares(rows, "Longest side, pixels", _bin(), "max(greatest(width, height))", generated, real),
        _shares(rows, "Format and colour mode", f"concat({_FORMAT}, ', ', {_MODE})", "-count(*)", generated, real),
    )
    found = (_shortcut(rows, trait, value, generated, real) for trait, value in _TRAITS.items())
    return Comparison(charts, tuple(shortcut for shortcut in found if shortcut.accuracy > WARNED))


def _bin() -> str:
    """SQL: the bin of an image's longest side, in words."""
    starts = (1, *(end + 1 for end in _SIZES))
    cases = " ".join(
        f"WHEN greatest(width, height) <= {end} THEN '{start} to {end}'"
        for start, end in zip(starts, _SIZES, strict=False)
    )
    return f"CASE {cases} ELSE 'more than {_SIZES[-1]}' END"


def _counted(value: str) -> str:
    """SQL: how many generated and real images have each value."""
    return f"""SELECT {value} AS value, count(*) FILTER (label = {FAKE}) AS generated,
        count(*) FILTER (label = {REAL}) AS real FROM manifest GROUP BY 1"""


def _shares(rows: Rows, title: str, value: str, order: str, generated: int, real: int) -> Chart:
    answer = rows.ask(f"{_counted(value)} ORDER BY {order}, 1")
    found = [Row(row["value"], (row["generated"] / generated, row["real"] / real)) for row in answer]
    return Chart(title, tuple(found[:ROWS]), SERIES, shares=True)


def _shortcut(rows: Rows, trait: str, value: str, generated: int, real: int) -> Shortcut:
    # Whole numbers, so that the order in which they are added does not matter.
    apart = rows.ask(
        f"SELECT sum(abs(generated::HUGEINT * {real} - real::HUGEINT * {generated})) AS n FROM ({_counted(value)})"
    )[0]["n"]
    accuracy = 0.5 + float(apart) / (4 * generated * real)
    most, most_real = (
        rows.ask(f"SELECT * FROM ({_counted(value)}) ORDER BY {kind} DESC, value LIMIT 1")[0] for kind in SERIES
    )
    words = f"Of the generated images {_of(most['generated'], generated)} are {most['value']}"
    words += f"; of the real ones {_of(most['real'], real)}"
    if most_real["value"] != most["value"]:
        words += f", and {_of(most_real['real'], real)} are {most_real['value']}"
    return Shortcut(trait, accuracy, words)


def _of(part: int, whole: int) -> str:
    return "none" if not part else "all" if part == whole else percent(part / whole)
