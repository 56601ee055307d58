"""The prompt: one caption of one real image, or a text of the user's own."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import pyarrow as pa

from workspace import recipe, records
from workspace.errors import UsageError
from workspace.layout import Workspace, parts_below, parts_in
from workspace.records import column

#: Key of the numbers of parts in the metadata of a part.
_PARTS = b"community_forensics_parts"
_UNFINISHED = "wait until `cf-caption` has ended on all shards, or run it again where it was interrupted"


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """One caption of one real image, and where that image is; or a prompt of the user's own, which may have no image.

    Without an image all columns that begin with real_ are null, but for real_source and real_title: the set's name.
    """

    prompt_id: str = column(
        pa.string(), "<real_source>/<real_id>, or for own prompts without an image a number: unique"
    )
    prompt: str = column(pa.string(), "the caption, cleaned (captioning/cleaning.py)")
    weight: float | None = column(
        pa.float64(),
        "how often it is drawn, compared with the others of its source; null: as a weight of 1",
        default=None,
    )
    round: int = column(pa.int32(), "round of the recipe that added it, from 1", default=1)
    real_source: str = column(pa.string(), "the data set, by the name given on the command line (coco)")
    real_title: str = column(
        pa.string(), "the published name of the data set (COCO); real_source where the data set is not a known one"
    )
    real_id: str | None = column(
        pa.string(), "the image's id in its data set: its path below the source's root, or a locator", default=None
    )
    real_path: str | None = column(
        pa.string(),
        "where its bytes are: root://SOURCE/PATH, below the folder of its source (workspace/roots.py); hf://..., on "
        "the Hub; or a path in the workspace (--copy). Inside an archive or a table as workspace/locator.py says",
        default=None,
    )
    real_sha256: str | None = column(
        pa.string(), "sha256 of the image's bytes as stored, lower-case hexadecimal", default=None
    )
    real_format: str | None = column(pa.string(), "format of the image as decoded: JPEG, PNG, ...", default=None)
    real_width: int | None = column(pa.int32(), "width in pixels, as stored", default=None)
    real_height: int | None = column(pa.int32(), "height in pixels, as stored", default=None)
    real_mode: str | None = column(pa.string(), "mode as decoded: RGB, L, CMYK, P, I;16, ...", default=None)
    real_file_size: int | None = column(pa.int64(), "bytes of the image's file, as stored", default=None)
    real_jpeg_quality: int | None = column(
        pa.int32(),
        "1 to 100: the quality whose IJG quantisation table of the luminance is nearest (captioning/compression.py); "
        "null: no JPEG, or one without quantisation",
        default=None,
    )
    real_chroma_subsampling: str | None = column(
        pa.string(),
        "4:4:4 | 4:2:2 | 4:2:0 | 4:1:1 | 4:4:0 | 4:0:0 (grey), or the factors, as 2x2,1x2,1x1; null: no JPEG",
        default=None,
    )
    real_progressive: bool | None = column(pa.bool_(), "whether the JPEG is progressive; null: no JPEG", default=None)
    real_has_exif: bool | None = column(pa.bool_(), "whether the image's file has EXIF data", default=None)
    real_has_icc: bool | None = column(pa.bool_(), "whether the image's file has a colour profile (ICC)", default=None)
    caption_origin: Literal["dataset", "generated", "user"] = column(
        pa.string(),
        "dataset: the caption is the data set's | generated: by the model in captioner | user: a prompt of --prompts",
    )
    captions: tuple[str, ...] = column(
        pa.list_(pa.string()), "all captions that the data set has for the image, uncleaned", default=()
    )
    captioner: str | None = column(
        pa.string(),
        "model@revision that generated the caption; with (lavis) if that back end ran it; null: not generated",
        default=None,
    )
    license: str | None = column(pa.string(), "licence of the real image; null: unknown", default=None)
    license_link: str | None = column(
        pa.string(),
        "page of the data set that states the licence, or would; null: the data set is not a known one",
        default=None,
    )
    redistributable: bool | None = column(
        pa.bool_(), "whether the licence allows the real image to be redistributed; null: unknown", default=None
    )


def prompt_parts(workspace: Workspace) -> list[Path]:
    """All prompt parts, by source and number; none before captioning."""
    return parts_below(workspace.prompts)


def read_prompts(workspace: Workspace) -> list[Prompt]:
    """All prompts, by source, then in the order of their parts.

    Raises `UsageError` when there are none yet, or when another version wrote them.
    """
    parts = prompt_parts(workspace)
    if not parts:
        raise UsageError(f"{workspace.prompts} holds no prompts: run `cf-caption` first")
    return [prompt for part in parts for prompt in read_part(part)]


def read_part(part: Path) -> list[Prompt]:
    """The prompts of one part; of a former version, whose columns are fewer, too: what it does not say is as before
    (weight 1, round 1, facts of files unknown).

    Raises `UsageError` when another version wrote it, or it is damaged.
    """
    with _remedy(part):
        return records.read(part, Prompt, former=True)


class PartColumns(NamedTuple):
    """Some columns of a part, and which of a prompt's columns it lacks, because a former version wrote it."""

    table: pa.Table
    lacking: Sequence[str]


def read_part_columns(part: Path, columns: Sequence[str]) -> PartColumns:
    """Some columns of one part, as `read_part` reads them; of a former version those that it lacks have their
    defaults."""
    with _remedy(part), records.opened(part, Prompt, former=True) as file:
        there = file.schema_arrow.names
        table = file.read(columns=[name for name in columns if name in there], use_threads=False)
    for name in columns:
        if name not in there:
            field = records.schema(Prompt).field(name)
            default = Prompt.__dataclass_fields__[name].default
            table = table.append_column(field, pa.repeat(pa.scalar(default, field.type), table.num_rows))
    lacking = [name for name in records.schema(Prompt).names if name not in there]
    return PartColumns(table.select(columns), lacking)


def numbers_of_parts(parts: Mapping[str, int]) -> dict[bytes, bytes]:
    """For the metadata of every part: how many parts each source has when captioning has ended, by its name."""
    return {_PARTS: json.dumps(parts, sort_keys=True).encode()}


def require_all_parts(workspace: Workspace) -> None:
    """Raise `UsageError` while captioning has not ended: where a part is not there that the others count.

    Prompts of a version that did not count them pass.
    """
    folders: dict[Path, int] = Counter(part.parent for part in prompt_parts(workspace))
    tables = [one.tables["caption"] for one in recipe.rounds(workspace) if "caption" in one.tables]
    if not folders and tables:
        raise UsageError(f"{workspace.prompts} holds no prompts yet: {_UNFINISHED}")
    expected: dict[str, int] = {}
    for table in tables:
        numbers = table.get("parts")
        expected |= {name: int(str(parts)) for name, parts in numbers.items()} if isinstance(numbers, dict) else {}
    for folder in folders:
        for name, parts in _numbers_in(parts_in(folder)[0]).items():
            expected[name] = max(parts, expected.get(name, 0))
    missing = [
        f"{name} has {there} of {parts} parts"
        for name, parts in sorted(expected.items())
        if (there := folders.get(workspace.prompts_of(name), 0)) < parts
    ]
    if missing:
        raise UsageError(f"{workspace.prompts} is not complete ({', '.join(missing)}): {_UNFINISHED}")


def _numbers_in(part: Path) -> dict[str, int]:
    with _remedy(part), records.opened(part, Prompt, former=True) as file:
        numbers: dict[str, int] = json.loads((file.schema_arrow.metadata or {}).get(_PARTS, b"{}"))
    return numbers


def require_this_version(part: Path) -> None:
    """Raise `UsageError` when another version wrote a prompt part, or it is damaged."""
    with _remedy(part):
        records.read_table(part, Prompt, columns=[])


@contextmanager
def _remedy(part: Path) -> Iterator[None]:
    """A block that reads a part; adds to its `UsageError` what to do."""
    try:
        yield
    except records.DamagedFileError as error:
        raise records.DamagedFileError(
            f"{error}; run `cf-caption` again with the same options, which makes it again"
        ) from error
    except UsageError as error:
        raise UsageError(f"{error}. Or remove {part.parent} and run `cf-caption` again") from error
