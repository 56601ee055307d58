"""Layouts: what a row of the manifest becomes in the published Parquet files.

`viewer` is for reading on the Hub: a column `image` of `datasets`' type Image and all columns of the manifest.
`community-forensics` has exactly the columns and types of the study's own dataset, so that code for that one reads this
one too. In both, the bytes of the files are unchanged, and the schema names the types of the columns as `datasets`
does: by its older names, which every version knows.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from manifests.manifest import ManifestRow
from manifests.publishing.published import EVALUATION
from samplers.sample import ImageFile
from workspace import records
from workspace.errors import UsageError
from workspace.records import column

# A path on the machine that captioned tells a reader nothing; `image.path` has the file's name.
_NOT_PUBLISHED = ("path",)

#: The study's names for an architecture that is none of its three kinds, and for one that is not public.
_STUDY_OTHER, _STUDY_COMMERCIAL = "other", "Commercial"

#: What the study's code loads by default: `Systematic+Manual` for training, and the evaluation set.
_STUDY_SPLITS = ("Systematic", "Manual", EVALUATION)


@dataclass(frozen=True, kw_only=True)
class StudyRow:
    """One image in the columns of the study's dataset, in their order."""

    image_name: str = column(pa.string(), "file name, such as 00000162.png")
    format: str = column(pa.string(), "PNG for generated images; a real image's as decoded")
    resolution: tuple[int, int] = column(pa.list_(pa.int64()), "width and height, pixels")
    mode: str | None = column(pa.string(), "as Pillow calls it: RGB, L, CMYK, P, ...", default=None)
    image_data: bytes = column(pa.binary(), "the file's bytes")
    model_name: str = column(
        pa.string(),
        "the generator's repository id, of a further revision with @ and a commit; of real images for evaluation the "
        "generator beside which they are, of others their data set",
    )
    nsfw_flag: bool | None = column(
        pa.bool_(), "whether the safety checker flagged it; null for real images, which are not checked", default=None
    )
    prompt: str | None = column(pa.string(), "what the generator was given; a real image's caption", default=None)
    real_source: str | None = column(
        pa.string(),
        "published name of the data set of the real image whose caption was the prompt, or of this one",
        default=None,
    )
    subset: str = column(pa.string(), "Systematic | Manual | Commercial; Real for real images")
    split: str = column(pa.string(), "train | test")
    label: int = column(pa.int64(), "1: generated, 0: real")
    architecture: str = column(pa.string(), "LatDiff | PixDiff | GAN | other | Commercial; real for real images")


@dataclass(frozen=True)
class Layout:
    """One way to lay out a shard.

    `facts` converts rows of the manifest to all columns but the image's, `pictures` makes that one from the files'
    bytes and names. `leaf` is Parquet's name of the column of the bytes. `by_generator`: its readers evaluate each
    generator alone, with real images of its own. `splits` exist also where they have no row, because readers name them.
    """

    name: str
    schema: pa.Schema
    picture: str
    leaf: str
    facts: Callable[[pa.Table], pa.Table]
    pictures: Callable[[pa.Array, pa.Array], pa.Array]
    by_generator: bool = False
    splits: tuple[str, ...] = ()

    def table(self, rows: pa.Table, contents: pa.Array) -> pa.Table:
        """Rows of the manifest with their files' bytes, as they are published."""
        facts = self.facts(rows)
        pictures = self.pictures(contents, rows.column("image_name").combine_chunks())
        columns = [pictures if name == self.picture else facts.column(name) for name in self.schema.names]
        return pa.Table.from_arrays(columns, schema=self.schema)


def layout_of(name: str) -> Layout:
    """The layout of that name; raises `UsageError` for an unknown one."""
    known = _layouts()
    if name not in known:
        raise UsageError(f"--layout {name!r} is not one of {', '.join(known)}")
    return known[name]()


def layout_of_shard(path: Path) -> Layout:
    """The layout that a published shard has; raises `UsageError` when this version writes no such layout."""
    with records.reading(path):
        schema = pq.read_schema(path)
    for make in _layouts().values():
        layout = make()
        if layout.schema.equals(schema):
            return layout
    raise UsageError(f"{path} was written by another version: use the one that the dataset's README.md names")


def _layouts() -> dict[str, Callable[[], Layout]]:
    return {"viewer": _viewer, "community-forensics": _community_forensics}


def _viewer() -> Layout:
    columns = [field for field in records.schema(ManifestRow) if field.name not in _NOT_PUBLISHED]
    schema = pa.schema([pa.field("image", pa.struct(list(records.schema(ImageFile)))), *columns])
    return Layout(
        name="viewer",
        schema=_with_features(schema, image={"_type": "Image"}),
        picture="image",
        leaf="image.bytes",
        facts=lambda rows: rows.drop_columns(list(_NOT_PUBLISHED)),
        pictures=lambda contents, names: pa.StructArray.from_arrays(
            [contents, names], fields=list(schema.field("image").type)
        ),
    )


def _community_forensics() -> Layout:
    return Layout(
        name="community-forensics",
        schema=_with_features(records.schema(StudyRow)),
        picture="image_data",
        leaf="image_data",
        facts=_study_facts,
        pictures=lambda contents, _names: contents,
        by_generator=True,
        splits=_STUDY_SPLITS,
    )


def _study_facts(rows: pa.Table) -> pa.Table:
    commercial = pc.equal(rows.column("subset"), _STUDY_COMMERCIAL)
    ours = rows.column("architecture")
    architecture = pc.if_else(commercial, _STUDY_COMMERCIAL, pc.if_else(pc.equal(ours, "Other"), _STUDY_OTHER, ours))
    size = np.stack([rows.column(name).to_numpy() for name in ("width", "height")], axis=1).astype(np.int64)
    offsets = np.arange(0, 2 * len(rows) + 1, 2, dtype=np.int32)
    converted = {
        "resolution": pa.ListArray.from_arrays(offsets, size.ravel()),
        # Training code puts this column into batches, which cannot hold a null.
        "model_name": pc.coalesce(rows.column("generator"), rows.column("real_title")),
        # The study's name for a data set is its published one.
        "real_source": rows.column("real_title"),
        "architecture": architecture,
    }
    names = [field.name for field in records.schema(StudyRow) if field.name != "image_data"]
    return pa.table({name: converted[name] if name in converted else rows.column(name) for name in names})


def _with_features(schema: pa.Schema, **known: dict[str, Any]) -> pa.Schema:
    features = {field.name: known.get(field.name) or _feature(field.type) for field in schema}
    return schema.with_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def _feature(arrow_type: pa.DataType) -> dict[str, Any]:
    """A column's type as `datasets` writes it into the schema."""
    if pa.types.is_list(arrow_type):
        # `List` since 4.0, which reads the older name as well.
        return {"feature": _feature(arrow_type.value_type), "_type": "Sequence"}
    # `datasets` has names of its own for two of Arrow's types.
    named = {"float": "float32", "double": "float64"}
    return {"dtype": named.get(str(arrow_type), str(arrow_type)), "_type": "Value"}
