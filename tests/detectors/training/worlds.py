"""A world that a tiny network learns in seconds: noise of one kind is real, of other kinds generated."""

import hashlib
import io

import numpy as np
from PIL import Image

from detectors.data.index import Index
from detectors.protocols.folds import Fold
from tests.detectors.worlds import MemorySource, generated, real

SIDE = 72


def png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def pixels(generator, number):
    """Smooth noise; a generator adds a stripe pattern of its own period."""
    random = np.random.default_rng(number)
    image = random.normal(128, 8, (SIDE // 4, SIDE // 4, 3)).repeat(4, 0).repeat(4, 1) + random.normal(
        0, 4, (SIDE, SIDE, 3)
    )
    if generator is not None:
        image += 24 * (np.arange(SIDE) % (2 + generator) == 0)[:, None, None]
    return np.clip(image, 0, 255).astype(np.uint8)


def source(generators=4, each=12, damaged=(), groups=5):
    """`each` images of each generator and as many real ones for each; `damaged`: numbers of images that do not
    decode; `groups`: how many are read together; 0: none."""
    rows, files = [], {}
    for number in range(generators * each * 2):
        generator = number // each if number < generators * each else None
        content = b"no image" if number in damaged else png(pixels(generator, number))
        row = real(number) if generator is None else generated(f"org/g{generator}", number)
        row["sha256"] = hashlib.sha256(content + bytes([number % 256])).hexdigest()
        row["locator"] = f"{number}.png"
        if groups:
            row["group"] = number // groups
        files[row["locator"]] = content
        rows.append(row)
    return MemorySource(rows, "world", files=files)


def world(generators=4, each=12, damaged=(), groups=5):
    """The index of such a source, and a fold whose validation is its last generator and as many real images."""
    index = Index.of([source(generators, each, damaged, groups)])
    rows = np.arange(len(index), dtype=np.int64)
    held_out = np.concatenate([rows[(generators - 1) * each : generators * each], rows[-each:]])
    train = np.setdiff1d(rows, held_out)
    return index, Fold("all", train, held_out, held_out)
