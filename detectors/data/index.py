"""The index: one row for each image of all sources, as Arrow columns. The row number is the image's address everywhere.

It is read once, never a Python object an image, and holds no pixels: 2.7 million rows take some hundred megabytes.
Processes that are forked share it. Rows are in the order of the sources and, within one, in the order in which it gives
them, which is always the same.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from detectors.data.hashes import Hashes, hashes_of
from detectors.data.sources.choice import parse_source
from detectors.data.sources.source import GeneratorFacts, Source
from detectors.data.sources.workspace_source import WorkspaceSource
from manifests.manifest import FAKE, REAL
from manifests.pairing import pair
from workspace import records
from workspace.errors import CommunityForensicsError, UsageError
from workspace.hub_access import HubAccess
from workspace.layout import Workspace
from workspace.records import column

Rows = npt.NDArray[np.int64]
"""Numbers of rows of the index."""

#: Names of which there are few: a number a row.
_NAME = pa.dictionary(pa.int32(), pa.string())

#: What the digest leaves out: where the bytes are on this machine.
_LOCAL = ("locator", "group")


@dataclass(frozen=True, kw_only=True)
class IndexRow:
    """One image."""

    sha256: str = column(pa.string(), "of the image file, lower-case hexadecimal")
    dataset: str = column(_NAME, "name of the source")
    label: int = column(pa.int8(), "1: generated, 0: real")
    generator: str | None = column(_NAME, "the generator's name; null for real images", default=None)
    architecture: str | None = column(
        _NAME, "LatDiff | PixDiff | GAN | Other | Commercial, or as the source says; real; null: unknown", default=None
    )
    kin: str | None = column(
        _NAME, "kin group of the generator; its own name where no kin is known; null for real images", default=None
    )
    real_source: str | None = column(
        _NAME, "data set of the real image, or of the one whose caption was the prompt; null: unknown", default=None
    )
    real_sha256: str | None = column(
        pa.string(), "of the real image whose caption was the prompt; null: unknown, or a real image", default=None
    )
    prompt_key: int | None = column(
        pa.uint64(), "of the prompt: the lower half of its MD5, in lower case and trimmed; null: none", default=None
    )
    split: str | None = column(_NAME, "train | validation | test; null: in none, or unknown", default=None)
    created_at: str | None = column(
        _NAME, "UTC, ISO 8601: when the generator first appeared; null: unknown", default=None
    )
    format: str | None = column(_NAME, "PNG, JPEG, ...; null: unknown", default=None)
    mode: str | None = column(_NAME, "RGB, L, ... as the file has it; null: unknown", default=None)
    width: int | None = column(pa.int32(), "pixels; null: unknown", default=None)
    height: int | None = column(pa.int32(), "pixels; null: unknown", default=None)
    file_size: int | None = column(pa.int32(), "bytes; null: unknown", default=None)
    jpeg_quality: int | None = column(
        pa.int8(), "1 to 100, estimated from the quantisation tables; null: no JPEG, or unknown", default=None
    )
    chroma_subsampling: str | None = column(_NAME, "of a JPEG: 4:2:0, ...; null: no JPEG, or unknown", default=None)
    progressive: bool | None = column(pa.bool_(), "of a JPEG; null: no JPEG, or unknown", default=None)
    has_exif: bool | None = column(pa.bool_(), "whether the file has EXIF data; null: unknown", default=None)
    has_icc: bool | None = column(pa.bool_(), "whether the file has a colour profile; null: unknown", default=None)
    round: int | None = column(pa.int32(), "of the dataset, in which the image came to it; null: unknown", default=None)
    locator: str = column(pa.string(), "where its source finds the file")
    group: int | None = column(
        pa.int32(), "images with the same number in a dataset are read together; null: one by one", default=None
    )


@dataclass(frozen=True)
class Index:
    """The images of one or more sources."""

    table: pa.Table
    """The columns of `IndexRow`, each in one chunk."""
    sources: Mapping[str, Source]
    """The sources by name, in their order."""
    unread: dict[int, str] = field(default_factory=dict)
    """Rows whose image could not be read or decoded so far, and why."""

    @classmethod
    def open(cls, sources: Sequence[str], workspace: Workspace, hub: HubAccess = HubAccess()) -> "Index":
        """Read what `--data` names; nothing named: the manifest of the workspace. `hub`: where datasets ORG/NAME, and
        real images on the Hub, are read.

        Raises `UsageError` for a text that names no source, two of one name, or a source without images.
        """
        opened = [parse_source(text, workspace, hub) for text in sources] or [WorkspaceSource(workspace, hub)]
        return cls.of(opened)

    @classmethod
    def of(cls, sources: Sequence[Source]) -> "Index":
        """The index of these sources; errors as `open`."""
        names = [source.name for source in sources]
        for name in names:
            if names.count(name) > 1:
                raise UsageError(f"--data names two sources called {name!r}: rename a folder, so that results differ")
        parts = _Parts()
        for source in sources:
            parts.add(source)
        return cls(parts.table(), dict(zip(names, sources, strict=True)))

    def __len__(self) -> int:
        return len(self.table)

    def unread_lines(self, most: int = 5) -> Iterator[str]:
        """How many images could not be read so far, and where the first of them are and why; nothing where all were."""
        if self.unread:
            begins = "; the first ones" if len(self.unread) > most else ""
            yield f"images that could not be read and are left out: {len(self.unread)}{begins}:"
        for row, why in sorted(self.unread.items())[:most]:
            yield f"  {self.table.column('locator')[row].as_py()}: {why}"

    def numbers(self, name: str) -> npt.NDArray[Any]:
        """A column of numbers: shape (rows,). Nulls of whole numbers are -1, prompt keys without a prompt 0."""
        values = self.table.column(name)
        if values.null_count:
            values = pc.fill_null(values, 0 if name == "prompt_key" else -1)
        return np.asarray(values.to_numpy())

    def codes(self, name: str) -> tuple[npt.NDArray[np.int32], list[str]]:
        """A column of names as numbers, -1 for null, and the names that they are of."""
        codes, names = self._coded(name)
        return codes, names.to_pylist()

    def _coded(self, name: str) -> tuple[npt.NDArray[np.int32], pa.Array]:
        """The same, with the names as Arrow has them: a column may have a million."""
        values = self.table.column(name)
        if not len(values):
            return np.empty(0, np.int32), pa.array([], pa.string())
        chunk = values.combine_chunks() if values.num_chunks > 1 else values.chunk(0)
        return np.asarray(pc.fill_null(chunk.indices, -1).to_numpy()), chunk.dictionary

    def hashes(self, name: str) -> Hashes:
        """A column of sha256 as numbers (`hashes.hashes_of`)."""
        return hashes_of(self.table.column(name))

    @cached_property
    def labels(self) -> npt.NDArray[np.int8]:
        """The column `label`: 1 generated, 0 real."""
        return np.asarray(self.numbers("label"))

    @cached_property
    def pairs(self) -> Rows:
        """For each generated row the row of the real image that is paired with it within its dataset
        (`manifests.pairing`); -1: there is none, or the row is real."""
        return self.pairs_within(np.arange(len(self), dtype=np.int64))

    def pairs_within(self, rows: Rows) -> Rows:
        """The same, of shape (rows of the index,), with only these rows as generated and as real images."""
        pairs = np.full(len(self), -1, np.int64)
        datasets, names = self.codes("dataset")
        generators = self.codes("generator")[0]
        for dataset in range(len(names)):
            here = rows[datasets[rows] == dataset]
            real, generated = (here[self.labels[here] == label] for label in (REAL, FAKE))
            if not len(real) or not len(generated):
                continue
            generated = generated[np.argsort(generators[generated], kind="stable")]
            columns = self.table.select(["generator", *_PAIRED])
            of_generated, of_real = (_plain(columns.take(some)) for some in (generated, real))
            known = not any(rows.column("round").null_count for rows in (of_generated, of_real))
            found = pair(of_generated.column("generator"), of_generated, of_real, by_round=known)
            pairs[generated[found >= 0]] = real[found[found >= 0]]
        return pairs

    @cached_property
    def sha256(self) -> str:
        """Digest of the images and all that is known of them but where they are, for recipes."""
        digest = hashlib.sha256()
        for name in self.table.column_names:
            if name in _LOCAL:
                continue
            digest.update(name.encode())
            if pa.types.is_dictionary(self.table.schema.field(name).type):
                # By first appearance: the same values give the same digest, whatever names the dictionary has besides.
                codes, names = self._coded(name)
                places = np.full(len(names) + 1, len(codes), np.int64)
                places[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
                order = np.argsort(places, kind="stable")[: (places < len(codes)).sum()]
                _add(digest, [names.take(pa.array(order, mask=order == len(names)))])
                ranks = np.zeros(len(names) + 1, np.int32)
                ranks[order] = np.arange(len(order))
                digest.update(ranks[codes].data)
                continue
            _add(digest, self.table.column(name).chunks)
        return digest.hexdigest()

    @cached_property
    def digests(self) -> dict[str, str]:
        """The digest of each source by its name."""
        datasets, names = self.codes("dataset")
        if len(names) == 1:
            return {names[0]: self.sha256}
        return {
            name: Index(self.table.filter(pa.array(datasets == code)).unify_dictionaries().combine_chunks(), {}).sha256
            for code, name in enumerate(names)
        }

    def source_of(self, row: int) -> Source:
        """The source of a row."""
        return self.sources[self.table.column("dataset")[row].as_py()]

    def notes(self) -> Iterator[str]:
        """What the user must know of how the sources were read."""
        for source in self.sources.values():
            yield from source.notes()


_PAIRED = ("round", "sha256", "real_sha256", "real_source", "width", "height")


def _plain(rows: pa.Table) -> pa.Table:
    """Rows as `pair` reads them: plain texts, sizes without nulls."""
    columns = {}
    for name in rows.column_names:
        values = rows.column(name)
        if pa.types.is_dictionary(values.type):
            values = values.cast(pa.string())
        columns[name] = pc.fill_null(values, 0) if name in ("width", "height") else values
    return pa.table(columns)


class _Parts:
    """The rows of sources as they are read, column by column, so that none is there twice."""

    def __init__(self) -> None:
        self._schema = records.schema(IndexRow)
        self._texts = {field.name: _Texts() for field in self._schema if field.type == pa.string()}
        self._others: dict[str, list[pa.Array]] = {name: [] for name in self._schema.names if name not in self._texts}

    def add(self, source: Source) -> None:
        """All rows of a source. Raises `UsageError` where it has none."""
        before = len(self._others["label"])
        for batch in source.batches():
            if len(batch):
                for kind in self._schema:
                    values = _values(batch, kind, source.name)
                    if kind.name in self._texts:
                        self._texts[kind.name].add(values)
                    else:
                        self._others[kind.name].append(values)
        if len(self._others["label"]) == before:
            raise UsageError(f"--data {source.name}: has no images")
        known = source.generators()
        for number in range(before, len(self._others["label"])):
            generators = self._others["generator"][number]
            names = generators.dictionary.to_pylist()
            facts = [known.get(name, GeneratorFacts()) for name in names]
            kin = [fact.kin if fact.kin is not None else name for name, fact in zip(names, facts, strict=True)]
            for name, values in (("kin", kin), ("created_at", [fact.created_at for fact in facts])):
                of_names = pc.dictionary_encode(pa.array(values, pa.string()))
                taken = of_names.take(generators.indices) if names else _nulls(len(generators), _NAME)
                self._others[name][number] = taken

    def table(self) -> pa.Table:
        """All of it, each column in one chunk."""
        columns = []
        for kind in self._schema:
            if kind.name in self._texts:
                columns.append(self._texts.pop(kind.name).array())
            else:
                chunks = pa.chunked_array(self._others.pop(kind.name), kind.type)
                columns.append(chunks.unify_dictionaries().combine_chunks())
                del chunks
                pa.default_memory_pool().release_unused()
        return pa.Table.from_arrays(columns, schema=self._schema)


class _Texts:
    """A column of texts that grows in place: Arrow would need the memory of all of them twice to put them together."""

    def __init__(self) -> None:
        self._letters, self._lengths, self._valid = bytearray(), bytearray(), bytearray()

    def add(self, texts: pa.Array) -> None:
        """More rows."""
        self._lengths += pc.binary_length(texts).fill_null(0).to_numpy().tobytes()
        self._valid += texts.is_valid().to_numpy(zero_copy_only=False).tobytes()
        self._letters += _letters(texts)

    def array(self) -> pa.Array:
        """All rows. Raises `CommunityForensicsError` where Arrow cannot count their letters."""
        if len(self._letters) > np.iinfo(np.int32).max:
            raise CommunityForensicsError("there are more images than one index can have: name fewer sources")
        lengths, valid = np.frombuffer(self._lengths, np.int32), np.frombuffer(self._valid, np.bool_)
        ends = np.zeros(len(lengths) + 1, np.int32)
        np.cumsum(lengths, out=ends[1:])
        bits = None if valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))
        buffers = [bits, pa.py_buffer(ends), pa.py_buffer(self._letters)]
        return pa.StringArray.from_buffers(len(lengths), buffers[1], buffers[2], buffers[0], -1, 0)


def _letters(texts: pa.Array) -> memoryview:
    """The letters of all texts that are not null, one after the other."""
    texts = texts.drop_null() if texts.null_count else texts
    if not len(texts):
        return memoryview(b"")
    ends = np.frombuffer(texts.buffers()[1], np.int32)[[texts.offset, texts.offset + len(texts)]]
    return memoryview(texts.buffers()[2] or b"")[ends[0] : ends[1]]


def _values(batch: pa.RecordBatch, field: pa.Field, dataset: str) -> pa.Array:
    """A column of the index from the rows of a source."""
    length = len(batch)
    if field.name == "dataset":
        return pa.DictionaryArray.from_arrays(pa.array(np.zeros(length, np.int32)), pa.array([dataset]))
    if field.name not in batch.schema.names:
        return _nulls(length, field.type)
    values = batch.column(field.name)
    if pa.types.is_dictionary(field.type):
        return values if pa.types.is_dictionary(values.type) else pc.dictionary_encode(values.cast(pa.string()))
    values = values.cast(field.type)
    if field.name == "real_sha256":
        return pc.if_else(pc.equal(batch.column("label"), FAKE), values, pa.scalar(None, values.type))
    # A copy: a source may hold more memory than it shows.
    return values if field.type == pa.string() else values.take(pa.array(np.arange(length)))


def _nulls(length: int, kind: pa.DataType) -> pa.Array:
    """So many nulls; of names without a name, because Arrow's own cannot be put beside others."""
    if not pa.types.is_dictionary(kind):
        return pa.nulls(length, kind)
    return pa.DictionaryArray.from_arrays(pa.nulls(length, kind.index_type), pa.array([], kind.value_type))


def _add(digest: Any, chunks: Sequence[pa.Array]) -> None:
    """Add a column to a digest: which values are null, and the others, wherever its chunks begin."""
    if any(chunk.null_count for chunk in chunks):
        valid = [chunk.is_valid().to_numpy(zero_copy_only=False) for chunk in chunks]
        digest.update(np.packbits(np.concatenate(valid)))
    for chunk in chunks:
        if chunk.type == pa.string():
            digest.update(pc.binary_length(chunk).fill_null(0).to_numpy())
        else:
            filler = False if chunk.type == pa.bool_() else 0
            digest.update(chunk.fill_null(filler).to_numpy(zero_copy_only=False))
    for chunk in chunks:
        if chunk.type == pa.string():
            digest.update(_letters(chunk))
