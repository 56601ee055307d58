"""Real against generated images: formats, modes and sizes, and where they differ.

A detector learns anything that distinguishes the two, and a file's format or size is easier to learn than a generator's
traces. So the report gives for each property the accuracy of the best guess from this property alone, among as many
real images as generated ones: 50 % means that it tells nothing, 100 % that it tells everything.
"""

from dataclasses import dataclass

from manifests.manifest import FAKE, REAL
from manifests.report.charts import ROWS, Chart, Row, count, percent
from manifests.report.rows import Rows

#: The report warns of a property when the best guess from it is right more often than this.
WARNED = 0.6

#: Upper bounds of the bins of sizes, pixels.
_SIZES = (64, 128, 256, 384, 512, 768, 1024, 1536, 2048, 4096)

SERIES = ("generated", "real")

_FORMAT, _MODE = "format", "coalesce(mode, 'mode unknown')"
_PROPERTIES = {
    "format": _FORMAT,
    "colour mode": _MODE,
    "size": "concat(width, ' × ', height)",
}


@dataclass(frozen=True)
class Shortcut:
    """A property that distinguishes real from generated images: the accuracy of the best guess from it alone, and what
    differs, as text."""

    property: str
    accuracy: float
    text: str


@dataclass(frozen=True)
class Comparison:
    """How real and generated images differ apart from their pixels."""

    charts: tuple[Chart, ...]
    shortcuts: tuple[Shortcut, ...]


def compare(rows: Rows) -> Comparison | None:
    """The comparison; None where there are no real or no generated images."""
    generated, real = (
        rows.query(f"SELECT count(*) AS n FROM manifest WHERE label = {kind}")[0]["n"] for kind in (FAKE, REAL)
    )
    if not (generated and real):
        return None
    charts = (
        _shares(rows, "Longest side, pixels", _bin(), "max(greatest(width, height))", generated, real),
        _shares(rows, "Format and colour mode", f"concat({_FORMAT}, ', ', {_MODE})", "-count(*)", generated, real),
    )
    found = (_shortcut(rows, name, value, generated, real) for name, value in _PROPERTIES.items())
    return Comparison(charts, tuple(shortcut for shortcut in found if shortcut.accuracy > WARNED))


def _bin() -> str:
    """SQL: the bin of an image's longest side, as text."""
    starts = (1, *(end + 1 for end in _SIZES))
    cases = " ".join(
        f"WHEN greatest(width, height) <= {end} THEN '{start} to {end}'"
        for start, end in zip(starts, _SIZES, strict=False)
    )
    return f"CASE {cases} ELSE 'more than {_SIZES[-1]}' END"


def _counted(value: str) -> str:
    """SQL: the number of generated and of real images for each value."""
    return f"""SELECT {value} AS value, count(*) FILTER (label = {FAKE}) AS generated,
        count(*) FILTER (label = {REAL}) AS real FROM manifest GROUP BY 1"""


def _shares(rows: Rows, title: str, value: str, order: str, generated: int, real: int) -> Chart:
    answer = rows.query(f"{_counted(value)} ORDER BY {order}, 1")
    found = [Row(row["value"], (row["generated"] / generated, row["real"] / real)) for row in answer]
    if len(found) > ROWS:
        rest = found[ROWS - 1 :]
        sums = tuple(sum(row.values[number] for row in rest) for number in range(len(SERIES)))
        found = [*found[: ROWS - 1], Row(f"{count(len(rest))} others", sums, rest=True)]
    return Chart(title, tuple(found), SERIES, shares=True)


def _shortcut(rows: Rows, name: str, value: str, generated: int, real: int) -> Shortcut:
    # Whole numbers, so that the order in which they are added does not matter.
    difference = rows.query(
        f"SELECT sum(abs(generated::HUGEINT * {real} - real::HUGEINT * {generated})) AS n FROM ({_counted(value)})"
    )[0]["n"]
    accuracy = 0.5 + float(difference) / (4 * generated * real)
    most, most_real = (
        rows.query(f"SELECT * FROM ({_counted(value)}) ORDER BY {kind} DESC, value LIMIT 1")[0] for kind in SERIES
    )
    of_generated, of_real = _share(most["generated"], generated), _share(most["real"], real)
    text = f"{of_generated.capitalize()} of the generated images and {of_real} of the real ones are {most['value']}"
    if most_real["value"] != most["value"]:
        text += f"; {_share(most_real['real'], real)} of the real ones are {most_real['value']}"
    return Shortcut(name, accuracy, text)


def _share(part: int, whole: int) -> str:
    return "none" if not part else "all" if part == whole else percent(part / whole)
