"""Large collections in bounded memory: archives and tables are read as streams, and their lists of ids are small."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.captioning.archives import sample, write_tar
from tests.captioning.oddities import encoded, picture
from tests.scale import scaled

IMAGES = scaled(750, 100_000)
#: Bytes of noise behind each image: all of them together are more than the bound below at either scale.
PADDING = scaled(80_000, 4_000)
#: What is allowed above the memory of a process that has imported everything and read one image, in bytes.
BOUND = scaled(27 << 20, 200 << 20)

READ_ALL = """
import json, re, sys
from pathlib import Path
from captioning.images import fetch, read_image
from captioning.selection import select

def peak():  # of this program, where getrusage would count its parent's before the exec
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024

read_image(sys.argv[1])
before = peak()
selection = select("x", sys.argv[2])
listed = peak()
captions = 0
for real_id in selection.ids:
    image = selection.collection.image(real_id)
    facts, view = read_image(image.path, content=fetch(image.path))
    captions += image.captions == (f"picture {facts.width}",)
print(json.dumps([len(selection.ids), captions, listed - before, peak() - before]))
"""


def pictures() -> Iterator[tuple[int, bytes]]:
    random = np.random.default_rng(0)
    images = [encoded(picture(8 + number, 8), "JPEG") for number in range(50)]
    for number in range(IMAGES):
        yield 8 + number % 50, images[number % 50] + random.bytes(PADDING)


def tars(root: Path) -> None:
    ready = pictures()
    for shard in range(0, IMAGES, 10_000):
        write_tar(
            root / f"{shard // 10_000:05d}.tar",
            (
                member
                for number, (width, content) in zip(range(shard, min(shard + 10_000, IMAGES)), ready, strict=False)
                for member in sample(f"{number:09d}", content, f"picture {width}")
            ),
        )


def tables(root: Path) -> None:
    """One file, one row group: what a reader that takes a row group whole must hold."""
    root.mkdir()
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = [(width, content) for width, content in pictures()]
    images = pa.chunked_array(
        [pa.array([{"bytes": content} for _, content in rows[n : n + 100]], kind) for n in range(0, IMAGES, 100)]
    )
    captions = pa.array([f"picture {width}" for width, _ in rows])
    table = pa.table({"image": images, "caption": captions})
    pq.write_table(table, root / "train.parquet", row_group_size=IMAGES, compression="none", use_dictionary=False)


@pytest.mark.parametrize("write", [tars, tables])
def test_a_large_collection_is_read_as_a_stream(tmp_path: Path, write: Callable[[Path], None]) -> None:
    root = tmp_path / "real"
    write(root)
    size = sum(path.stat().st_size for path in root.iterdir())
    assert size > 2 * BOUND
    (tmp_path / "first.jpg").write_bytes(encoded(picture(), "JPEG"))
    ended = subprocess.run(
        [sys.executable, "-c", READ_ALL, str(tmp_path / "first.jpg"), str(root)],
        env={**os.environ, "MALLOC_ARENA_MAX": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    images, captions, listing, all_of_it = json.loads(ended.stdout)
    print(f"{write.__name__}: {size >> 20} MiB, {listing >> 20} MiB to list, {all_of_it >> 20} MiB to read")
    assert images == captions == IMAGES
    assert all_of_it < BOUND
