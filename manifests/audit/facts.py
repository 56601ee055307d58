"""What is known of an image's file without looking at its pixels, as numbers for a classifier.

Each fact is an expression over the manifest's columns. Large datasets are sampled: the images with the smallest sha256,
which is a choice by chance, and the same one every time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt

from manifests.manifest import FAKE, REAL

#: Images of each label that are audited at most: more take longer and change the third decimal.
SAMPLE = 20_000

#: A fact that is unknown for more than this share of the generated or of the real images is not audited: that it is
#: unknown would be taken for a property of the images.
UNKNOWN = 0.05

#: Values of a text fact that are told apart; rarer ones are one value.
_VALUES = 64


@dataclass(frozen=True)
class Fact:
    """One fact. `value`: SQL, a number or (`text`) a name; null where it is unknown, except where `known` (SQL) says
    that there is nothing to know, such as the quality of what is no JPEG."""

    name: str
    value: str
    text: bool = False
    known: str = "false"


_NOT_JPEG = "format != 'JPEG'"

FACTS = (
    Fact("format", "format", text=True),
    Fact("colour mode", "mode", text=True),
    Fact("width", "width"),
    Fact("height", "height"),
    Fact("aspect ratio", "width / height"),
    Fact("multiple of 8", "(width % 8 = 0)::INTEGER + (height % 8 = 0)::INTEGER"),
    Fact("multiple of 64", "(width % 64 = 0)::INTEGER + (height % 64 = 0)::INTEGER"),
    Fact("file size", "file_size"),
    Fact("bits per pixel", "8.0 * file_size / (width::BIGINT * height)"),
    Fact("JPEG quality", "jpeg_quality", known=_NOT_JPEG),
    Fact("chroma subsampling", "chroma_subsampling", text=True, known=_NOT_JPEG),
    Fact("progressive JPEG", "progressive::INTEGER", known=_NOT_JPEG),
    Fact("EXIF data", "has_exif::INTEGER"),
    Fact("ICC profile", "has_icc::INTEGER"),
)
"""All file facts, in the order in which they are shown where they tell the same."""


@dataclass(frozen=True)
class Facts:
    """The audited images, in a fixed order.

    `values`: float64 of shape (images, facts), NaN where a fact is unknown or does not apply; texts as the rank of
    their frequency, which is a name and not a quantity. `groups`: what is held out together, the generator of a
    generated image, the sha256 of a real one, or its generator's pairs. `keys`: sha256, path and suffix of each image.
    """

    labels: npt.NDArray[np.int64]
    groups: Sequence[str]
    paths: Sequence[str]
    facts: Sequence[Fact]
    values: npt.NDArray[np.float64]
    unknown: dict[str, str]
    """Facts that are not audited, and why."""

    @property
    def generators(self) -> int:
        """How many generators the generated images are of."""
        return len({group for group, label in zip(self.groups, self.labels, strict=True) if label == FAKE})

    def count(self, label: int) -> int:
        """How many of the images are generated, or real."""
        return int((self.labels == label).sum())


def read_facts(connection: duckdb.DuckDBPyConnection, source: str, group: str, order: str, most: int = SAMPLE) -> Facts:
    """The facts of the images of a relation `source` with the manifest's columns.

    `group` is SQL, what is held out together; `order` is SQL, those of least value are taken where there are more than
    `most` of a label.
    """
    fields = ", ".join(f"({fact.value}) AS v{n}, ({fact.known}) AS k{n}" for n, fact in enumerate(FACTS))
    columns: dict[str, npt.NDArray[Any]] = {}
    parts = []
    for label in (FAKE, REAL):
        parts.append(
            connection.sql(
                f"""SELECT label, ({group}) AS held_out, path, {fields} FROM {source} WHERE label = {label}
                ORDER BY {order}, sha256, generator, "index", real_source, real_id LIMIT {most}"""
            ).to_arrow_table()
        )
    tables = {
        name: [value for part in parts for value in part.column(name).to_pylist()] for name in parts[0].schema.names
    }
    labels = np.array(tables["label"], np.int64)
    unknown: dict[str, str] = {}
    for number, fact in enumerate(FACTS):
        found, known = tables[f"v{number}"], np.array(tables[f"k{number}"], bool)
        absent = np.array([value is None for value in found], bool) & ~known
        shares = {label: absent[labels == label].mean() if (labels == label).any() else 0.0 for label in (FAKE, REAL)}
        if max(shares.values()) > UNKNOWN:
            kinds = [
                f"{shares[label]:.0%} of the {kind}"
                for label, kind in ((FAKE, "generated"), (REAL, "real"))
                if shares[label]
            ]
            unknown[fact.name] = f"unknown for {' and '.join(kinds)} images"
            continue
        columns[fact.name] = (
            _ranked(found) if fact.text else np.array([np.nan if value is None else value for value in found], float)
        )
    audited = [fact for fact in FACTS if fact.name in columns]
    values = np.column_stack([columns[fact.name] for fact in audited]) if audited else np.empty((len(labels), 0))
    return Facts(labels, tables["held_out"], tables["path"], audited, values, unknown)


def _ranked(texts: Sequence[str | None]) -> npt.NDArray[np.float64]:
    """Texts as the ranks of their frequency, from 0; NaN for none."""
    counts: dict[str, int] = {}
    for text in texts:
        if text is not None:
            counts[text] = counts.get(text, 0) + 1
    ordered = sorted(counts, key=lambda text: (-counts[text], text))
    ranks = {text: min(rank, _VALUES - 1) for rank, text in enumerate(ordered)}
    return np.array([np.nan if text is None else ranks[text] for text in texts], float)
