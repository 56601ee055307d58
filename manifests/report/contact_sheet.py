"""The contact sheet: a few pictures of each generator and real source with their origin, inside the page itself.

Their number and their size are bounded, and so is the page: of many generators, evenly spaced ones by downloads are
shown. More pictures of a generator are shown on demand, from the workspace's files. What does not decode is left out.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from manifests.images import ImageReader
from manifests.manifest import FAKE, REAL
from manifests.pictures.readers import PictureReaders
from manifests.report.charts import count
from manifests.report.figures import caption_origin
from manifests.report.rows import Rows
from manifests.report.sampled_with import SampledWith
from manifests.report.thumbnails import Thumbnail, file_link, thumbnails
from manifests.tables.generators import GeneratorRow, license_text
from workspace.hub_access import HubAccess
from workspace.layout import Workspace

T = TypeVar("T")

#: Generators on the sheet, and pictures of each. Two hundred times four pictures of at most 12 kB are below 10 MB.
SHEETS, PICTURES = 200, 4

#: Pictures of each generator where there are few.
PICTURES_OF_FEW, FEW = 8, 100

#: Real sources on the sheet, and pictures of each.
REAL_SHEETS, REAL_PICTURES = 12, 12

#: Further pictures of a generator that the page can show, from the workspace's files.
FURTHER = 60


@dataclass(frozen=True)
class Sheet:
    """The pictures of one generator, or of one real source."""

    title: str
    facts: tuple[str, ...]
    thumbnails: list[Thumbnail]
    further: tuple[str, ...] = ()
    """Links to further files, of which the page can show the pictures."""
    more: int = 0
    """Images of the generator that are not on the sheet."""
    folder: str | None = None
    """A link to the folder of all its images; None: they are inside Parquet files."""


def generator_sheets(
    workspace: Workspace,
    rows: Rows,
    readers: PictureReaders,
    sampled: Sequence[GeneratorRow],
    settings: dict[str, SampledWith],
) -> list[Sheet]:
    """The first pictures of at most `SHEETS` of the sampled generators, by rank."""
    shown = evenly_spaced(sampled, SHEETS)
    pictures = PICTURES_OF_FEW if len(shown) <= FEW else PICTURES
    names = [row.generator for row in shown]
    found = rows.query(
        f"""SELECT label, generator, revision, path, width, height, prompt, class_label, seed, num_inference_steps,
            guidance_scale, scheduler, split, round, real_title, real_id
        FROM manifest WHERE label = {FAKE} AND generator IN (SELECT unnest(?))
        QUALIFY row_number() OVER (PARTITION BY generator ORDER BY "index") <= {pictures}
        ORDER BY generator, "index" """,
        [names],
    )
    seen: defaultdict[str, list[Thumbnail]] = defaultdict(list)
    made = thumbnails(ImageReader(workspace), readers, [(row, _origin_of_generated(row)) for row in found])
    for row, thumbnail in zip(found, made, strict=True):
        seen[row["generator"]] += [thumbnail] if thumbnail else []
    further = _further(rows, names, pictures)
    return [
        Sheet(
            row.generator,
            (
                row.architecture,
                row.task or "unknown task",
                license_text(row) or "no licence stated",
                settings[row.generator].size_text,
                f"{count(row.kept)}\u00a0kept",
            ),
            seen[row.generator],
            tuple(further[row.generator]),
            row.kept - len(seen[row.generator]),
            further[row.generator][0].rpartition("/")[0] + "/" if further[row.generator] else None,
        )
        for row in shown
    ]


def _further(rows: Rows, names: Sequence[str], shown: int) -> defaultdict[str, list[str]]:
    """Links to the files of `FURTHER` images at most of each generator, after those that are shown."""
    links: defaultdict[str, list[str]] = defaultdict(list)
    for row in rows.query(
        f"""SELECT generator, path FROM manifest WHERE label = {FAKE} AND generator IN (SELECT unnest(?))
        QUALIFY row_number() OVER (PARTITION BY generator ORDER BY "index") BETWEEN {shown + 1} AND {shown + FURTHER}
        ORDER BY generator, "index" """,
        [names],
    ):
        if link := file_link(row["path"]):
            links[row["generator"]].append(link)
    return links


def real_sheets(workspace: Workspace, rows: Rows, readers: PictureReaders, hub: HubAccess = HubAccess()) -> list[Sheet]:
    """Some real images of each source: those that may be passed on and can be read."""
    found = rows.query(
        f"""WITH free AS (FROM manifest WHERE label = {REAL} AND redistributable), shown AS (
            SELECT real_title, unnest(min(sha256, {REAL_PICTURES})) AS sha256 FROM free
            GROUP BY real_title ORDER BY real_title LIMIT {REAL_SHEETS})
        SELECT label, path, format, mode, width, height, prompt, real_title, real_id, license, sha256, split,
            caption_origin, captioner, also_in
        FROM free SEMI JOIN shown USING (real_title, sha256)
        ORDER BY real_title, sha256, real_id"""
    )
    sheets: dict[str, Sheet] = {}
    made = thumbnails(ImageReader(workspace, hub), readers, [(row, _origin_of_real(row)) for row in found])
    for row, thumbnail in zip(found, made, strict=True):
        facts = ("real images", row["license"] or "licence unknown")
        sheet = sheets.setdefault(row["real_title"], Sheet(row["real_title"], facts, []))
        if thumbnail is not None and len(sheet.thumbnails) < REAL_PICTURES:
            sheet.thumbnails.append(thumbnail)
    return [sheet for sheet in sheets.values() if sheet.thumbnails]


def evenly_spaced(rows: Sequence[T], most: int) -> list[T]:
    """At most `most` of the rows, evenly spaced, starting with the first."""
    step = max(len(rows) / most, 1)
    return [rows[int(number * step)] for number in range(min(len(rows), most))]


def _origin_of_generated(row: dict[str, Any]) -> dict[str, str]:
    source = f"{row['real_title']}: {row['real_id']}" if row["real_id"] else row["real_title"]
    return _known(
        {
            "generator": row["generator"],
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
            "round": row["round"],
            "file": row["path"],
        }
    )


def _origin_of_real(row: dict[str, Any]) -> dict[str, str]:
    return _known(
        {
            "real source": row["real_title"],
            "id": row["real_id"],
            "caption": row["prompt"],
            "caption from": caption_origin(row["caption_origin"], row["captioner"]),
            "licence": row["license"] or "unknown",
            "size": f"{row['width']} × {row['height']}",
            "format": f"{row['format']}, {row['mode'] or 'mode unknown'}",
            "split": row["split"] or "neither",
            "sha256": row["sha256"],
            "equal files": ", ".join(row["also_in"] or ()) or None,
            "file": row["path"],
        }
    )


def _known(origin: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in origin.items() if value is not None}
