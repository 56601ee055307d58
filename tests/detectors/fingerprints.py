"""A world of known difficulty: pieces of real photographs, and the same pieces passed through procedural generators.

Each generator leaves a fingerprint of its own in otherwise real pixels, of one of five families that are modelled on
what generators leave. Nothing is trained; a generator is a function of its number. The files are no shortcut: all are
PNG of one size without compression, so that every file has as many bytes. A detector that has seen few generators
knows few fingerprints: its score on others rises with their number, which is what tests of the harness ask for. Such a
rise is built into this world; it proves nothing about generators.
"""

import csv
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image

from demo.photographs import PHOTOGRAPHS
from detectors.data.sources.source import GeneratorFacts

SIDE = 64
FAMILIES = ("deconvolution", "quantised", "resampled", "ringing", "resynthesised")

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class World:
    """The images: uint8 of shape (n, SIDE, SIDE, 3), whether each is generated, by what, and of which photograph."""

    pixels: Pixels
    label: npt.NDArray[np.int8]
    generator: npt.NDArray[np.str_]
    family: npt.NDArray[np.str_]
    photograph: npt.NDArray[np.str_]


def pieces(each: int = 90) -> tuple[Pixels, npt.NDArray[np.str_]]:
    """Pieces of the colour photographs, reduced two times, so that JPEG's blocks are gone; with their photographs."""
    chance = np.random.default_rng(0)
    found, names = [], []
    for photograph in PHOTOGRAPHS:
        image = Image.open(io.BytesIO(photograph.read()))
        if image.mode != "RGB":
            continue
        pixels = np.asarray(image.reduce(2))
        height, width = pixels.shape[:2]
        for _ in range(each):
            top, left = int(chance.integers(height - SIDE + 1)), int(chance.integers(width - SIDE + 1))
            found.append(pixels[top : top + SIDE, left : left + SIDE])
            names.append(photograph.name)
    return np.stack(found), np.array(names)


def family(number: int) -> str:
    """The family of a generator."""
    return FAMILIES[number % len(FAMILIES)]


def generate(number: int, image: Pixels, chance: np.random.Generator) -> Pixels:
    """An image of generator `number`, made of a real one."""
    own = np.random.default_rng([19, number])
    made = {
        "deconvolution": _deconvolution,
        "quantised": _quantised,
        "resampled": _resampled,
        "ringing": _ringing,
        "resynthesised": _resynthesised,
    }[family(number)](image.astype(np.float32), own, chance)
    return np.asarray(np.clip(np.rint(made), 0, 255), dtype=np.uint8)


#: In cycles a pixel, across and down: those of the ringing generators.
_FREQUENCIES = (
    (3 / 16, 5 / 16),
    (6 / 16, -2 / 16),
    (1 / 4, 1 / 4),
    (7 / 16, 3 / 16),
    (5 / 16, -6 / 16),
    (2 / 16, 7 / 16),
)

Image32 = npt.NDArray[np.float32]


def _deconvolution(image: Image32, own: np.random.Generator, _chance: np.random.Generator) -> Image32:
    """A transposed convolution whose kernel covers pixels unevenly: details are multiplied in a checkerboard."""
    period = int(own.choice([2, 4, 8]))
    gain = own.uniform(0.15, 0.5) * own.uniform(-1, 1, (period, period, 1))
    details = image - cv2.GaussianBlur(image, (0, 0), 6.0)
    return (image + details * np.tile(gain, (SIDE // period, SIDE // period, 1))).astype(np.float32)


def _quantised(image: Image32, own: np.random.Generator, _chance: np.random.Generator) -> Image32:
    """A decoder that loses fine coefficients of its blocks, as one that was trained on few codes."""
    block = int(own.choice([4, 8, 16]))
    rows, columns = np.mgrid[0:block, 0:block]
    lost = (rows + columns) / (2 * block) > own.uniform(0.15, 0.4)
    lost &= own.random((block, block)) < 0.9
    kept = np.where(lost, own.uniform(0.0, 0.3), 1.0).astype(np.float32)
    result = image.copy()
    for top in range(0, SIDE, block):
        for left in range(0, SIDE, block):
            for channel in range(3):
                part = np.ascontiguousarray(image[top : top + block, left : left + block, channel])
                result[top : top + block, left : left + block, channel] = cv2.idct(cv2.dct(part) * kept)
    return result


def _resampled(image: Image32, own: np.random.Generator, _chance: np.random.Generator) -> Image32:
    """A latent that is enlarged by interpolation, and sharpened."""
    smaller = int(SIDE * own.uniform(0.55, 0.95))
    kernels = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4, cv2.INTER_NEAREST)
    small = cv2.resize(image, (smaller, smaller), interpolation=cv2.INTER_AREA)
    large = cv2.resize(small, (SIDE, SIDE), interpolation=kernels[int(own.integers(len(kernels)))])
    amount = own.uniform(0.3, 1.2)
    return (large + amount * (large - cv2.GaussianBlur(large, (0, 0), own.uniform(0.7, 1.5)))).astype(np.float32)


def _ringing(image: Image32, own: np.random.Generator, _chance: np.random.Generator) -> Image32:
    """Peaks of the spectrum at a few frequencies, which are stronger where there is more detail."""
    rows, columns = np.mgrid[0:SIDE, 0:SIDE]
    wave = np.zeros((SIDE, SIDE))
    for _ in range(int(own.integers(1, 4))):
        across, down = _FREQUENCIES[int(own.integers(len(_FREQUENCIES)))]
        wave += np.cos(2 * np.pi * (across * columns + down * rows) + own.uniform(0, 6.3))
    detail = np.abs(image - cv2.GaussianBlur(image, (0, 0), 1.5)).mean()
    return (image + own.uniform(0.3, 0.7) * (0.5 + detail) * wave[..., None]).astype(np.float32)


def _resynthesised(image: Image32, own: np.random.Generator, chance: np.random.Generator) -> Image32:
    """A denoiser's output: the photograph's noise is gone, and there is other noise, of another colour."""
    smooth = cv2.bilateralFilter(image, 5, own.uniform(6, 20), own.uniform(0.8, 2.0))
    noise = chance.normal(size=image.shape).astype(np.float32)
    colour = cv2.GaussianBlur(noise, (0, 0), own.uniform(0.4, 1.0), sigmaY=own.uniform(0.4, 1.0))
    return (smooth + own.uniform(0.4, 1.6) * colour / colour.std()).astype(np.float32)


#: Every fifth generator, one of each family in turn, and these photographs, are for the test.
TESTED_PHOTOGRAPHS = ("chelsea.png", "coffee.png", "retina.jpg", "rocket.jpg")


def is_tested(number: int) -> bool:
    """Whether a generator is for the test."""
    return number % 5 == number // 5 % 5


def world(generators: int = 44, real: int = 60, training: int = 20, test: int = 80) -> World:
    """`real` pieces of each photograph, and images of the generators, made of pieces drawn by chance: those of the test
    of photographs of the test, the others of the others.

    `training`, `test`: images of each generator. With few, average precision is above one half where there is nothing
    to learn.
    """
    source, photograph = pieces(real)
    tested = np.isin(photograph, TESTED_PHOTOGRAPHS)
    pixels, names, kinds, of = [source], ["real"] * len(source), ["real"] * len(source), [photograph]
    for number in range(generators):
        chance = np.random.default_rng([number, 7])
        images = test if is_tested(number) else training
        chosen = chance.choice(np.flatnonzero(tested == is_tested(number)), images, replace=False)
        pixels.append(np.stack([generate(number, source[row], chance) for row in chosen]))
        names += [f"{family(number)}-{number:02d}"] * images
        kinds += [family(number)] * images
        of.append(photograph[chosen])
    label = (np.array(kinds) != "real").astype(np.int8)
    return World(np.concatenate(pixels), label, np.array(names), np.array(kinds), np.concatenate(of))


def shuffled(world: World, seed: int) -> World:
    """The world with all that is said of its training images exchanged by chance: there is nothing to learn."""
    train = np.flatnonzero(~np.isin(world.photograph, TESTED_PHOTOGRAPHS))
    order = np.arange(len(world.label))
    order[train] = np.random.default_rng(seed).permutation(train)
    return replace(world, label=world.label[order], generator=world.generator[order], family=world.family[order])


def write(world: World, folder: Path) -> Path:
    """The images as files without compression, and the table of them that `--data` reads. Returns the table's path."""
    folder.mkdir(parents=True)
    for number, pixels in enumerate(world.pixels):
        (folder / f"{number:05d}.png").write_bytes(_png(pixels))
    return write_table(world, folder / "images.csv")


def write_table(world: World, table: Path) -> Path:
    """What is said of the images that are in the table's folder."""
    with table.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "generator", "architecture", "real_source", "split"])
        for number, label in enumerate(world.label):
            about = [world.generator[number], world.family[number]] if label else ["", ""]
            split = "test" if world.photograph[number] in TESTED_PHOTOGRAPHS else "train"
            rows.writerow([f"{number:05d}.png", label, *about, world.photograph[number], split])
    return table


class WorldSource:
    """The images of a world as a source of the index, in memory."""

    name = "fingerprints"

    def __init__(self, world: World) -> None:
        self._world = world
        self._files = [_png(pixels) for pixels in world.pixels]

    def batches(self) -> Iterator[pa.RecordBatch]:
        generated = self._world.label == 1
        yield pa.record_batch(
            {
                "sha256": [hashlib.sha256(file).hexdigest() for file in self._files],
                "label": pa.array(self._world.label, pa.int8()),
                "generator": pa.array(self._world.generator, mask=~generated),
                "architecture": pa.array(np.where(generated, self._world.family, "real")),
                "real_source": pa.array(self._world.photograph),
                "format": ["PNG"] * len(self._files),
                "width": pa.array([SIDE] * len(self._files), pa.int32()),
                "height": pa.array([SIDE] * len(self._files), pa.int32()),
                "file_size": pa.array([len(file) for file in self._files], pa.int32()),
                "locator": [f"{number:05d}.png" for number in range(len(self._files))],
            }
        )

    def generators(self) -> dict[str, GeneratorFacts]:
        return {}

    def notes(self) -> Iterator[str]:
        yield from ()

    def read(self, locator: str) -> bytes:
        return self._files[int(Path(locator).stem)]


def _png(pixels: Pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=0)
    return file.getvalue()
