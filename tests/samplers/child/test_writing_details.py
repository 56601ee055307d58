"""What a row says of its image is true, in both stores."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from samplers.child.writing import Png, Writer, encode_png
from samplers.sample import ImageFile, Sample
from workspace import records

GREY = np.arange(64, dtype=np.uint8).reshape(8, 8)
COLOUR = np.stack([GREY, GREY[::-1], GREY.T], axis=2)


def sample(index: int, **changes: Any) -> Sample:
    values: dict[str, Any] = {
        "model_name": "org/name",
        "revision": "a" * 40,
        "index": index,
        "round": 1,
        "status": "ok",
        "image": ImageFile(),
        "seed": 0,
        "batch_size": 1,
        "device": "cpu",
        "dtype": "float32",
        "scheduler": "",
        "libraries": "",
    }
    sizes = {"call_size": 1} if "call_size" in Sample.__dataclass_fields__ else {}
    return Sample(**{**values, **sizes, **changes})


@pytest.mark.parametrize(("pixels", "mode"), [(GREY, "L"), (COLOUR, "RGB")])
def test_the_columns_of_an_image_describe_its_file(pixels: np.ndarray, mode: str) -> None:
    png = Png.of(pixels)
    assert png.mode == mode
    assert png.columns(162) == {
        "image_name": "00000162.png",
        "sha256": hashlib.sha256(png.content).hexdigest(),
        "file_size": len(png.content),
        "format": "PNG",
        "mode": mode,
    }


def test_a_png_is_compressed() -> None:
    assert len(encode_png(np.repeat(COLOUR, 8, axis=1))) < COLOUR.nbytes


def test_what_opencv_cannot_encode_is_an_error() -> None:
    with pytest.raises(ValueError, match="1000001"):
        encode_png(np.zeros((1, 1_000_001), np.uint8))


def test_files_lie_beside_the_parts_that_name_them(tmp_path: Path) -> None:
    writer = Writer(tmp_path, "org/name", 3)
    png = Png.of(GREY)
    for index in (8, 9):
        writer.image(index, png)
        writer.part([sample(index, image=writer.image_file(index, png))])
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")) == [
        "images/org--name/00000008.png",
        "images/org--name/00000009.png",
        "samples/org--name/part-00003.parquet",
        "samples/org--name/part-00004.parquet",
    ]
    [row] = records.read(tmp_path / "samples/org--name/part-00004.parquet", Sample)
    assert (row.index, row.image) == (9, ImageFile(path="images/org--name/00000009.png"))


def test_images_inside_parts_are_stored_as_they_are(tmp_path: Path) -> None:
    writer = Writer(tmp_path, "org/name", 0, "parquet")
    png = Png.of(COLOUR)
    writer.image(5, png)
    place = "samples/org--name/part-00000.parquet#00000005.png"
    assert writer.image_file(5, png) == ImageFile(bytes=png.content, path=place)
    writer.part([sample(5, image=writer.image_file(5, png))])
    assert [path.name for path in tmp_path.rglob("*.*")] == ["part-00000.parquet"]
    part = tmp_path / "samples/org--name/part-00000.parquet"
    assert records.read(part, Sample)[0].image.bytes == png.content
    group = pq.read_metadata(part).row_group(0)
    compression = {column.path_in_schema: column.compression for column in map(group.column, range(group.num_columns))}
    assert compression.pop("image.bytes") == "UNCOMPRESSED"
    assert set(compression.values()) == {"ZSTD"}
