"""The contact sheet: a few pictures of each generator and real source with their origin, inside the page itself.

Small pictures are included unchanged and enlarged by the browser without smoothing, so that their pixels are visible;
others are shrunk. Their number and their size are bounded, and so is the page: of many generators, evenly spaced ones
by downloads are shown. Files may be hostile: only formats of a fixed list are decoded, and what does not decode is left
out.
"""

import base64
import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from manifests.images import ImageReader, picture
from manifests.manifest import FAKE, REAL
from manifests.report.charts import count
from manifests.report.rows import Rows
from manifests.tables.generators import GeneratorRow
from workspace.hub_access import HubAccess
from workspace.layout import Workspace

if TYPE_CHECKING:
    from PIL import Image

T = TypeVar("T")

#: Generators on the sheet, and pictures of each. Two hundred times four pictures of at most 12 kB are below 10 MB.
SHEETS, PICTURES = 200, 4

#: Pictures of each generator where there are few.
PICTURES_OF_FEW, FEW = 8, 100

#: Real sources on the sheet, and pictures of each.
REAL_SHEETS, REAL_PICTURES = 12, 12

#: Longest side of a shrunk picture in pixels (what a screen of double density needs for 96 of its own), and its quality
#: as WebP. A picture that is too large in bytes then gets the next pair.
THUMBNAILS = ((192, 80), (192, 50), (96, 50))

#: Bytes of one picture at most; in the page it takes four thirds of them.
PICTURE_BYTES = 9_000

#: A picture whose longest side has at most so many pixels is enlarged without smoothing.
_PIXELATED_SIDE = 96


@dataclass(frozen=True)
class Thumbnail:
    """One picture on the page, its prompt or class, and where it comes from."""

    uri: str
    caption: str
    origin: dict[str, str]
    pixelated: bool


@dataclass(frozen=True)
class Sheet:
    """The pictures of one generator, or of one real source."""

    title: str
    facts: tuple[str, ...]
    thumbnails: list[Thumbnail]


def generator_sheets(workspace: Workspace, rows: Rows, sampled: Sequence[GeneratorRow]) -> list[Sheet]:
    """The first pictures of at most `SHEETS` of the sampled generators, by rank."""
    shown = evenly_spaced(sampled, SHEETS)
    pictures = PICTURES_OF_FEW if len(shown) <= FEW else PICTURES
    found = rows.query(
        f"""SELECT model_name, revision, path, format, width, height, prompt, class_label, seed, num_inference_steps,
            guidance_scale, scheduler, split, real_title, real_id
        FROM manifest WHERE label = {FAKE} AND model_name IN (SELECT unnest(?))
        QUALIFY row_number() OVER (PARTITION BY model_name ORDER BY "index") <= {pictures}
        ORDER BY model_name, "index" """,
        [[row.model_name for row in shown]],
    )
    images = ImageReader(workspace)
    thumbnails: defaultdict[str, list[Thumbnail]] = defaultdict(list)
    for row in found:
        thumbnails[row["model_name"]] += _thumbnails(images, row, _origin_of_generated(row))
    return [
        Sheet(
            row.model_name,
            (
                row.architecture,
                row.task or "unknown task",
                row.license or "no licence stated",
                f"{count(row.kept)}\u00a0kept",
            ),
            thumbnails[row.model_name],
        )
        for row in shown
    ]


def real_sheets(workspace: Workspace, rows: Rows, hub: HubAccess = HubAccess()) -> list[Sheet]:
    """Some real images of each source: those that may be passed on and can be read."""
    found = rows.query(
        f"""WITH free AS (FROM manifest WHERE label = {REAL} AND redistributable), shown AS (
            SELECT real_title, unnest(min(sha256, {REAL_PICTURES})) AS sha256 FROM free
            GROUP BY real_title ORDER BY real_title)
        SELECT path, format, mode, width, height, prompt, real_title, real_id, license, sha256, split
        FROM free SEMI JOIN shown USING (real_title, sha256)
        ORDER BY real_title, sha256, real_id"""
    )
    images = ImageReader(workspace, hub)
    sheets: dict[str, Sheet] = {}
    for row in found:
        facts = ("real images", row["license"] or "licence unknown")
        sheet = sheets.setdefault(row["real_title"], Sheet(row["real_title"], facts, []))
        if len(sheets) <= REAL_SHEETS and len(sheet.thumbnails) < REAL_PICTURES:
            sheet.thumbnails.extend(_thumbnails(images, row, _origin_of_real(row)))
    return [sheet for sheet in sheets.values() if sheet.thumbnails]


def evenly_spaced(rows: Sequence[T], most: int) -> list[T]:
    """At most `most` of the rows, evenly spaced, starting with the first."""
    step = max(len(rows) / most, 1)
    return [rows[int(number * step)] for number in range(min(len(rows), most))]


def _origin_of_generated(row: dict[str, Any]) -> dict[str, str]:
    source = f"{row['real_title']}: {row['real_id']}" if row["real_id"] else row["real_title"]
    return _known(
        {
            "generator": row["model_name"],
            "revision": row["revision"],
            "prompt": row["prompt"],
            "class": row["class_label"],
            "prompt from": source,
            "seed": row["seed"],
            "steps": row["num_inference_steps"],
            "guidance": row["guidance_scale"],
            "scheduler": row["scheduler"],
            "size": f"{row['width']} × {row['height']}",
            "split": row["split"] or "neither",
            "file": row["path"],
        }
    )


def _origin_of_real(row: dict[str, Any]) -> dict[str, str]:
    return _known(
        {
            "real source": row["real_title"],
            "id": row["real_id"],
            "caption": row["prompt"],
            "licence": row["license"] or "unknown",
            "size": f"{row['width']} × {row['height']}",
            "format": f"{row['format']}, {row['mode'] or 'mode unknown'}",
            "split": row["split"] or "neither",
            "sha256": row["sha256"],
        }
    )


def _known(origin: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in origin.items() if value is not None}


def _thumbnails(images: ImageReader, row: dict[str, Any], origin: dict[str, str]) -> list[Thumbnail]:
    """The picture of a row: one, or none where its file cannot be read (the checks do not read every file)."""
    caption = row["prompt"] or ("" if row.get("class_label") is None else f"class {row['class_label']}")
    try:
        content = images.read(row["path"])
        with picture(content) as image:
            kind, size = image.format or "", image.size
            image.load()
            if max(size) > THUMBNAILS[0][0] or len(content) > PICTURE_BYTES or kind not in {"PNG", "JPEG"}:
                kind, content = "WEBP", _shrunk(image)
    except (OSError, ValueError):
        return []
    uri = f"data:image/{kind.lower()};base64,{base64.b64encode(content).decode()}"
    return [Thumbnail(uri, caption, origin, max(size) <= _PIXELATED_SIDE)]


def _shrunk(image: "Image.Image") -> bytes:
    """A picture as WebP of at most `PICTURE_BYTES`, or as small as `THUMBNAILS` allows."""
    small, content = image.convert("RGB"), b""
    for side, quality in THUMBNAILS:
        small.thumbnail((side, side))
        written = io.BytesIO()
        small.save(written, "WEBP", quality=quality)
        content = written.getvalue()
        if len(content) <= PICTURE_BYTES:
            break
    return content
