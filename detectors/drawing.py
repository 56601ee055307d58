"""Drawings for the page: matplotlib's axes as SVG elements, in the page's font and colours.

The same data give the same bytes: a drawing has no date, and its ids come from its title, so that several are in one
page. Names are texts of unknown authors: matplotlib escapes them for XML and does not read them as formulas.
"""

import hashlib
import io
import re
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from markupsafe import Markup

from workspace.printable import in_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: The colours that matplotlib draws with, and the variables of the page (`workspace/pages/base.css`) that replace them.
INK, SOFT = "#1c1e21", "#63686f"
_SERIES = ("#2f6f8f", "#c26a1f", "#8a8f95", "#5b8a3c")
_COLOURS = {colour: f"var(--series-{number})" for number, colour in enumerate(_SERIES, start=1)} | {
    INK: "var(--ink)",
    SOFT: "var(--soft)",
}
#: Series beyond those of the page: of medium lightness, so that they can be seen on both backgrounds.
SERIES = (*_SERIES[:2], _SERIES[3], "#9467bd", "#c5475a", "#2a9d8f", "#b08f2e", _SERIES[2])

#: Characters of a name that are drawn.
_NAME = 40
_SVG, _LINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"


def draw(title: str, function: Callable[["Axes"], None], width: float = 480, height: float = 280) -> Markup:
    """What `function` draws on axes of this size in CSS pixels, as an element of the page. `title` is read to those who
    cannot see it."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()  # the user's own matplotlibrc has no effect
        salt = hashlib.sha256(title.encode()).hexdigest()[:8]
        colours = dict.fromkeys(("text.color", "axes.labelcolor", "axes.titlecolor"), INK)
        soft = dict.fromkeys(("xtick.color", "ytick.color", "axes.edgecolor", "legend.labelcolor"), SOFT)
        settings: dict[str, Any] = {
            "svg.fonttype": "none",
            "svg.hashsalt": salt,
            "font.size": 10,
            "text.parse_math": False,
        }
        parameters: Any = matplotlib.rcParams
        parameters.update(settings | colours | soft)
        # The page's font may have the characters that matplotlib's own lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(width / 72, height / 72), facecolor="none", layout="constrained")
        axes = figure.add_subplot(facecolor="none")
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        function(axes)
        drawn = io.BytesIO()
        figure.savefig(drawn, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return _inline(drawn.getvalue(), title, salt)


def short(name: str) -> str:
    """A name as it is drawn: on one line, printable, and not too long."""
    name = in_line(name)
    return name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"


def _inline(drawn: bytes, title: str, salt: str) -> Markup:
    """An SVG file as an element of the page, as wide as its column."""
    ElementTree.register_namespace("", _SVG)
    root = ElementTree.fromstring(drawn)
    for definitions in root.findall(f"{{{_SVG}}}defs"):
        for styles in definitions.findall(f"{{{_SVG}}}style"):  # they would apply to the whole page
            definitions.remove(styles)
    used = set(re.findall(rb"(?:url\(|href=\")#([^\")]+)", drawn))
    for element in root.iter():
        for name, value in list(element.attrib.items()):
            if name == "id":
                if value.encode() in used:
                    element.set("id", f"{salt}-{value}")
                else:
                    element.attrib.pop("id")
                continue
            value = re.sub(r"url\(#", f"url(#{salt}-", value)
            if name == f"{{{_LINK}}}href":  # plain `href` is what browsers read today
                element.attrib.pop(name)
                name, value = "href", f"#{salt}-{value[1:]}" if value.startswith("#") else value
            if name in ("style", "fill", "stroke"):
                for colour, variable in _COLOURS.items():
                    value = value.replace(colour, variable)
                value = "; ".join(part for part in value.split("; ") if not part.startswith("font-family"))
            element.set(name, value)
    for absolute in ("width", "height", "version"):
        root.attrib.pop(absolute, None)
    root.set("role", "img")
    root.set("aria-label", title)
    return Markup(ElementTree.tostring(root, encoding="unicode"))
