"""The contact sheet: a few pictures of each generator, inside the page itself.

Small pictures are taken as they are and enlarged by the browser without smoothing, so that one sees their pixels;
larger ones are shrunk. Of many generators, evenly spaced ones by downloads are shown.
"""

import base64
import io
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import duckdb

from manifests.generators import GeneratorRow
from manifests.images import ImageReader
from manifests.joining import parquet_view
from manifests.manifest import FAKE, REAL, manifest_path
from workspace.layout import Workspace

#: Generators on the sheet, and pictures of each.
SHEETS, PICTURES = 60, 6

#: Real images on the page.
REAL_IMAGES = 24

#: Longest side of a shrunk picture, pixels: what a screen of double density needs for 96 of its own.
THUMBNAIL_SIDE = 192


@dataclass(frozen=True)
class Thumbnail:
    """One picture on the page."""

    uri: str
    title: str
    caption: str
    pixelated: bool


@dataclass(frozen=True)
class Sheet:
    """One generator's pictures."""

    generator: GeneratorRow
    thumbnails: list[Thumbnail]


def generator_sheets(workspace: Workspace, sampled: list[GeneratorRow]) -> list[Sheet]:
    """The first pictures of at most `SHEETS` of the sampled generators, by rank."""
    step = max(len(sampled) / SHEETS, 1)
    shown = [sampled[int(number * step)] for number in range(min(len(sampled), SHEETS))]
    rows = _rows(
        workspace,
        f"""SELECT model_name, path, width, height, prompt, class_label, seed, num_inference_steps FROM manifest
        WHERE label = {FAKE} AND list_contains(?, model_name)
        QUALIFY row_number() OVER (PARTITION BY model_name ORDER BY "index") <= {PICTURES}
        ORDER BY model_name, "index" """,
        [[row.model_name for row in shown]],
    )
    images = ImageReader(workspace)
    pictures: defaultdict[str, list[Thumbnail]] = defaultdict(list)
    for row in rows:
        pictures[row["model_name"]] += _thumbnails(images, row, _origin(row))
    return [Sheet(row, pictures[row.model_name]) for row in shown]


def real_images(workspace: Workspace) -> list[Thumbnail]:
    """Some real images of each source, those that may be passed on and are at hand."""
    rows = _rows(
        workspace,
        f"""WITH placed AS (
            SELECT *, row_number() OVER (PARTITION BY real_source ORDER BY sha256) AS place
            FROM manifest WHERE label = {REAL} AND redistributable)
        SELECT path, width, height, prompt, real_source, real_id, license FROM placed
        ORDER BY place, real_source LIMIT {REAL_IMAGES}""",
        [],
    )
    images = ImageReader(workspace)
    return [thumbnail for row in rows for thumbnail in _thumbnails(images, row, _source(row))]


def _rows(workspace: Workspace, query: str, parameters: list[Any]) -> list[dict[str, Any]]:
    with duckdb.connect() as connection:
        parquet_view(connection, "manifest", [manifest_path(workspace)])
        answer = connection.execute(query, parameters)
        names = [column[0] for column in answer.description or ()]
        return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]


def _origin(row: dict[str, Any]) -> str:
    steps = f", {row['num_inference_steps']} steps" if row["num_inference_steps"] else ""
    return f"{row['path']}, {row['width']} × {row['height']}, seed {row['seed']}{steps}"


def _source(row: dict[str, Any]) -> str:
    license = row["license"] or "licence unknown"
    return f"{row['real_source']}: {row['real_id']}, {row['width']} × {row['height']}, {license}"


def _thumbnails(images: ImageReader, row: dict[str, Any], title: str) -> list[Thumbnail]:
    """The picture of a row: one, or none where its file cannot be read (a check may not have looked at it)."""
    from PIL import Image

    asked = row["prompt"] or (f"class {row['class_label']}" if row.get("class_label") is not None else "")
    try:
        content = images.read(row["path"])
        with Image.open(io.BytesIO(content)) as image:
            kind, small = image.format or "", max(image.size) <= THUMBNAIL_SIDE
            if not (small and kind in {"PNG", "JPEG"}):
                image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
                shrunk = io.BytesIO()
                image.convert("RGB").save(shrunk, "WEBP", quality=80)
                kind, content = "WEBP", shrunk.getvalue()
            pixelated = max(image.size) <= THUMBNAIL_SIDE // 2
    except (OSError, ValueError, Image.DecompressionBombError):
        return []
    uri = f"data:image/{kind.lower()};base64,{base64.b64encode(content).decode()}"
    return [Thumbnail(uri, title, asked, pixelated and small)]
