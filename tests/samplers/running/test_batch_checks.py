"""A batch that the child sends counts as a whole or not at all, whatever is in it."""

import dataclasses
import hashlib
import json
import struct
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samplers.messages import Batch, decode, encode
from samplers.running.batch_checks import Expected, InvalidBatchError, checked_batch, image_size
from samplers.sample import ImageFile, Sample
from tests.fuzzing import fuzzed
from tests.samplers.storage.making import plan_of, png_of, row_of

Rows = list[dict[str, Any]]


def _plain(row: Sample) -> dict[str, Any]:
    values = dataclasses.asdict(row)
    del values["image"]
    return values


def _batch(*indices: int) -> tuple[Rows, list[bytes | None]]:
    rows = [row_of(index) for index in indices]
    return [_plain(row) for row in rows], [png_of(row.index).content if row.sha256 else None for row in rows]


def _checked(rows: Rows, contents: list[bytes | None], first: int = 0, stop: int = 24) -> Any:
    return checked_batch(rows, contents, Expected(plan=plan_of(), next_index=first, stop=stop))


def test_an_honest_batch_is_accepted_as_it_is() -> None:
    rows, contents = _batch(2, 3)
    message = decode(encode(Batch(rows=rows)))
    assert isinstance(message, Batch)
    assert [image_size(row) for row in message.rows] == [len(contents[0] or b""), None]
    samples, images = _checked(message.rows, contents, 2)
    assert samples == [row_of(2), row_of(3)]
    assert images == {2: png_of(2).content}
    assert samples[0].image == ImageFile()


def _set(name: str, value: Any) -> Callable[[Rows], None]:
    def change(rows: Rows) -> None:
        rows[0][name] = value

    return change


#: What code in the child could send, each a change of an honest batch.
FORGED: dict[str, Callable[[Rows], None]] = {
    "another generator": _set("model_name", "org/other"),
    "another revision": _set("revision", "b" * 40),
    "a later sample": _set("index", 1),
    "a sample as text": _set("index", "0"),
    "a sample as truth": _set("index", False),
    "a negative sample": _set("index", -1),
    "another seed": _set("seed", 1),
    "another round": _set("round", 2),
    "a foreign prompt": _set("prompt_id", "another"),
    "a foreign source": _set("real_source", "coco"),
    "an unknown status": _set("status", "fine"),
    "a flagged image": _set("nsfw_flag", True),
    "an unchecked image": _set("nsfw_flag", None),
    "another hash": _set("sha256", "0" * 64),
    "no hash": _set("sha256", None),
    "another width": _set("width", 5),
    "a width as text": _set("width", "4"),
    "an absurd width": _set("width", 10**9),
    "a number too large for its column": _set("num_inference_steps", 2**40),
    "a list for a number": _set("guidance_scale", [1.0]),
    "a text for a number": _set("nsfw_score", "0.1"),
    "a number that is none": _set("guidance_scale", float("nan")),
    "a text for a truth": _set("nsfw_flag", "false"),
    "a lone surrogate": _set("prompt", "\ud800"),
    "a text of a megabyte": _set("prompt", "a" * 10**6),
    "a number for a text": _set("device", 3),
    "another format": _set("format", "JPEG"),
    "another mode": _set("mode", "RGB"),
    "a column of its own": _set("path", "../../catalog.parquet"),
    "a column less": lambda rows: rows[0].pop("dtype"),
    "three rows": lambda rows: rows.append(_plain(row_of(2))),
    "no rows": lambda rows: rows.clear(),
    "a rejected sample with a file": _set("status", "nan"),
}


@pytest.mark.attack
@pytest.mark.parametrize("how", FORGED)
def test_a_forged_row_is_refused(how: str) -> None:
    rows, contents = _batch(0, 1)
    FORGED[how](rows)
    while len(contents) < len(rows):
        contents.append(png_of(2).content)
    with pytest.raises(InvalidBatchError):
        _checked(rows, contents[: len(rows)])


@pytest.mark.attack
def test_the_name_of_a_file_is_never_the_childs() -> None:
    rows, contents = _batch(0, 1)
    rows[0]["image_name"] = "../../../catalog.parquet"
    samples, _ = _checked(rows, contents)
    assert samples[0].image_name == "00000000.png"


@pytest.mark.attack
def test_samples_beyond_the_assignment_are_refused() -> None:
    rows, contents = _batch(0, 1)
    with pytest.raises(InvalidBatchError, match="more rows"):
        _checked(rows, contents, stop=1)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


PNG = png_of(0).content
IMAGES = {
    "not a picture": b"#!/bin/sh\nrm -rf ~\n",
    "a JPEG": b"\xff\xd8\xff\xe0" + bytes(100),
    "metadata": PNG[:-12] + _chunk(b"tEXt", b"token\0hf_abc") + PNG[-12:],
    "data after the end": PNG + b"PK\x03\x04",
    "cut short": PNG[:-20],
    "a changed checksum": PNG[:-1] + b"\0",
    "another size": png_of(1).content.replace(struct.pack(">II", 4, 4), struct.pack(">II", 4, 5)),
}


@pytest.mark.attack
@pytest.mark.parametrize("what", IMAGES)
def test_an_image_that_is_not_the_png_file_of_its_row_is_refused(what: str) -> None:
    rows, contents = _batch(0, 1)
    content = IMAGES[what]
    contents[0] = content
    # With the facts of these bytes: only the picture is wrong.
    rows[0] |= {"file_size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    with pytest.raises(InvalidBatchError, match="not the PNG file"):
        _checked(rows, contents)


@pytest.mark.attack
@pytest.mark.parametrize("size", [0, -1, 9 * 10**9, 1.5, "100", None, True, [1]])
def test_an_impossible_size_is_refused_before_anything_is_read(size: Any) -> None:
    with pytest.raises(InvalidBatchError):
        image_size({"status": "ok", "file_size": size})


@pytest.mark.attack
@fuzzed(100)
@given(
    st.dictionaries(
        st.sampled_from([*_plain(row_of(0))]), st.none() | st.text() | st.integers() | st.floats() | st.booleans()
    )
)
def test_any_other_values_are_accepted_with_the_type_of_their_column_or_refused(changes: dict[str, Any]) -> None:
    rows, contents = _batch(0, 1)
    rows[0] |= changes
    try:
        samples, _ = _checked(json.loads(json.dumps(rows)), contents)
    except InvalidBatchError:
        return
    assert (samples[0].model_name, samples[0].index, samples[0].seed) == ("org/name", 0, 100)
    assert samples[0].sha256 == png_of(0).sha256
