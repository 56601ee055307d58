"""Training images, decoded in processes with limits and cropped, against a plain DataLoader of torch on the same files.

Both have one process a core, resize the shorter side, cut out the centre and give batches of bytes. The plain one opens
the files in its workers, where a picture that attacks the decoder has all that the user has.

Then both on a disk that is made slow (`slow_disk`), in a random order: ours from published shards, by row groups, as
training draws them; the plain one from the files.
"""

import hashlib
import io
import itertools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

from benchmarks.png import photographs
from benchmarks.slow_disk import BYTES_A_SECOND, SEEK_SECONDS, SlowDisk
from benchmarks.timing import Comparison, compare
from detectors.data.index import Index
from detectors.data.sources import shards
from detectors.data.sources.published import PublishedSource
from detectors.data.sources.tree import tree_source
from detectors.pixels.inputs import Input
from detectors.training.draws import Draws
from detectors.training.preparing import Preparers, Wanted
from workspace import containers
from workspace.layout import Workspace

#: Files of one round, of one batch, and of one row group.
_IMAGES, _BATCH, _GROUP = 256, 32, 64
_INPUT = Input(224, 256)
#: How many times as fast as a plain DataLoader shards on a slow disk are at least.
SLOW_RATIO = 1.5


class _Files(torch.utils.data.Dataset):  # type: ignore[misc]
    """As torchvision's ImageFolder: a file is opened with Pillow, resized and cropped."""

    def __init__(self, paths: list[Path], disk: SlowDisk | None = None) -> None:
        self._paths, self._disk = paths, disk

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, number: int) -> torch.Tensor:
        path = self._paths[number]
        # Whole, in one read: files that workers read in pieces would move the arm of the disk back and forth.
        slow = self._disk and io.BytesIO(self._disk.open(path).read(path.stat().st_size))
        with Image.open(slow or path) as opened:
            image = opened.convert("RGB")
        return torch.from_numpy(_INPUT.prepared(np.asarray(image)).copy())


def run() -> Iterator[Comparison]:
    """Two comparisons, of as many processes as this machine has cores. Starting them is not counted."""
    with tempfile.TemporaryDirectory() as name:
        yield _files(Path(name), _write_files(Path(name), 1))
    with tempfile.TemporaryDirectory() as name:
        # Small ones: few cores would decode large ones more slowly than this disk gives them.
        yield _slow_disk(_write_files(Path(name), 2))


def _write_files(folder: Path, smaller: int) -> list[Path]:
    pictures, paths = photographs(), []
    for number in range(_IMAGES):
        path = folder / f"generator{number % 4}" / ("0_real" if number % 2 else "1_fake") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = pictures[number % len(pictures)][::smaller, ::smaller].copy()
        picture[0, 0] = number % 256, number // 256, 0  # no two are the same file
        Image.fromarray(picture).save(path, compress_level=1)
        paths.append(path)
    return paths


def _files(folder: Path, paths: list[Path]) -> Comparison:
    cores = len(os.sched_getaffinity(0))
    index = Index.of([tree_source(folder, Workspace(folder))])
    loader = torch.utils.data.DataLoader(_Files(sorted(paths)), _BATCH, num_workers=cores, persistent_workers=True)
    with Preparers(index, _INPUT, cores, ahead=2 * _BATCH) as preparers:

        def ours() -> None:
            _batches(preparers, (Wanted(row, "none") for row in range(len(index))))

        def theirs() -> None:
            for _ in loader:
                pass

        return compare(
            f"{_IMAGES} PNG files of 512 x 512 to {_INPUT.crop} x {_INPUT.crop}, {cores} processes",
            ours,
            theirs,
            "at least 0.9 times as fast as a plain DataLoader, and behind walls",
            rounds=3,
        )


def _slow_disk(paths: list[Path]) -> Comparison:
    """Raises `AssertionError` where it is slower than it claims."""
    cores = len(os.sched_getaffinity(0))
    disk = SlowDisk()
    with tempfile.TemporaryDirectory() as name:
        shards_folder = Path(name)
        _write_shards(shards_folder, sorted(paths, key=lambda path: path.parent))

        def opened(path: str, *_: Any) -> BinaryIO:
            return disk.open(shards_folder / Path(path).name)

        # A file on the Hub is read through this process, which here reads the slow disk.
        with mock.patch.object(containers, "open_file", opened), mock.patch.object(shards, "open_file", opened):
            source = PublishedSource("shards", f"{containers.HUB}datasets/slow/disk@1", ["0.parquet", "1.parquet"])
            index = Index.of([source])
            draws = Draws(index, np.arange(len(index)), 0, "images", _BATCH, _BATCH)
            firsts = itertools.count(0, _BATCH)
            loader = torch.utils.data.DataLoader(
                _Files(paths, disk), _BATCH, shuffle=True, num_workers=cores, persistent_workers=True
            )
            with Preparers(index, _INPUT, cores, ahead=2 * _BATCH) as preparers:

                def drawn() -> Iterator[Wanted]:
                    for first in itertools.islice(firsts, _IMAGES // _BATCH):
                        rows, together = draws.batch(first, _BATCH)[0], draws.together(first, _BATCH)
                        for row, others in zip(rows.tolist(), together, strict=True):
                            yield Wanted(row, "none", together=others)

                def ours() -> None:
                    _batches(preparers, drawn())

                def theirs() -> None:
                    for _ in loader:
                        pass

                found = compare(
                    f"{_IMAGES} PNG files of 256 x 256 on a disk of {SEEK_SECONDS * 1e3:.0f} ms a seek and "
                    f"{BYTES_A_SECOND / 1e6:g} MB/s in random order, from shards with row groups of {_GROUP}",
                    ours,
                    theirs,
                    f"at least {SLOW_RATIO} times as fast as a plain DataLoader on the files",
                    rounds=3,
                )
    assert found.ratio >= SLOW_RATIO, f"{found.ratio:.2f} times as fast from a slow disk, {SLOW_RATIO} is the claim"
    return found


def _batches(preparers: Preparers, wanted: Iterator[Wanted]) -> None:
    images = preparers.read(wanted)
    for batch in iter(lambda: list(itertools.islice(images, _BATCH)), []):
        torch.from_numpy(np.stack([image for image in batch if image is not None]))


def _write_shards(folder: Path, paths: list[Path]) -> None:
    """Two shards with the columns of `cf-publish` that are needed, each image in a page of its own."""
    half = len(paths) // 2
    for shard, some in enumerate((paths[:half], paths[half:])):
        contents = [path.read_bytes() for path in some]
        names = [None if path.parent.name == "0_real" else path.parent.parent.name for path in some]
        columns = {
            "image": [{"bytes": content, "path": None} for content in contents],
            "sha256": [hashlib.sha256(content).hexdigest() for content in contents],
            "label": [int(name is not None) for name in names],
            "generator": names,
            "model_name": names,
            "prompt": [path.name for path in some],
        }
        pq.write_table(
            pa.table(columns),
            folder / f"{shard}.parquet",
            row_group_size=_GROUP,
            compression="none",
            use_dictionary=False,
            data_page_size=4096,
            write_batch_size=1,
        )
