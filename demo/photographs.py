"""Real images for the demo, from packages that are installed anyway, so that nothing is downloaded.

    digits   scans of handwritten digits (scikit-learn), each with a caption in a .txt file beside it
    pieces   squares cut out of the colour photographs, each with a caption in a .txt file beside it
    photos   photographs (scikit-image, scikit-learn), unchanged, without captions

Digits and pieces are made so that their files are no shortcut for telling them from generated ones. The scans
have 17 grey levels, which no generator keeps to; each level stands for an interval of brightness, so a pixel gets a
value of its interval by chance (random dithering). The pieces have the sizes, the mode and the format that the zoo's
generators make, and together with the other two there are as many real images as `make demo` generates. Nothing else is
done to them: how much still differs is what `cf-build-manifest --audit` measures.

All are plain folders with a `licenses.json`, which has for each image, or for all images as "*", what its package
documents: `license` (null: not documented), `license_link`, `attribution`, `redistributable` (null: unknown).
`captioning/sources/folder.py` reads this layout.
"""

import gzip
import io
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from demo.zoo.digits.data import WORDS
from workspace.atomic import write_json

if TYPE_CHECKING:
    import numpy as np

SCANS_OF_EACH_DIGIT = 20
"""Number of scans of each digit: the first ones of the dataset."""

_GREY_LEVELS = 17

PIECES = {8: 16, 32: 48, 64: 384, 256: 32}
"""How many pieces of each side, in pixels: about in the proportions of what the zoo's generators make."""

_REDUCTIONS = (1, 2)
"""A piece is cut out this many times larger and reduced by averaging, so that small ones have detail too."""

CC0 = "cc0-1.0"
PUBLIC_DOMAIN = "public-domain"
CC_BY_2 = "cc-by-2.0"

_DIGITS_LICENSE = {
    "license": "cc-by-4.0",
    "license_link": "https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
    "attribution": "E. Alpaydin, C. Kaynak: Optical Recognition of Handwritten Digits (UCI)",
    "redistributable": True,
}


@dataclass(frozen=True)
class Photograph:
    """A photograph inside an installed package, with its licence."""

    package: str
    path: str
    license: str | None
    license_link: str | None
    attribution: str | None
    redistributable: bool | None
    subject: str | None = None
    """What it shows, if pieces of it are used: it is in colour and may be passed on."""

    @property
    def name(self) -> str:
        """Its file name."""
        return Path(self.path).name

    def read(self) -> bytes:
        """The bytes of the file."""
        return _of_package(self.package, self.path)


def _of_package(package: str, path: str) -> bytes:
    """The bytes of a file inside an installed package, which is not imported."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{package} is not installed: pip install 'community-forensics[demo]'")
    return (Path(spec.origin).parent / path).read_bytes()


def _of_scikit_image(
    name: str,
    license: str | None,
    attribution: str | None,
    link: str | None = None,
    redistributable: bool | None = True,
    subject: str | None = None,
) -> Photograph:
    documentation = f"https://scikit-image.org/docs/stable/api/skimage.data.html#skimage.data.{Path(name).stem}"
    link = link or documentation if license else None
    return Photograph("skimage", f"data/{name}", license, link, attribution, redistributable, subject)


# Licences by scikit-image's documentation of each image (`skimage/data/_fetchers.py`). Not used: drawings and test
# patterns, micrographs, scanned text, and the right half of a stereo pair.
PHOTOGRAPHS = (
    _of_scikit_image("astronaut.png", PUBLIC_DOMAIN, "NASA", subject="an astronaut"),
    _of_scikit_image("brick.png", CC0, "CC0Textures"),
    _of_scikit_image("camera.png", CC0, "Lav Varshney"),
    _of_scikit_image("chelsea.png", CC0, "Stefan van der Walt", subject="a cat"),
    _of_scikit_image(
        "clock_motion.png",
        PUBLIC_DOMAIN,
        "Stefan van der Walt",
        "https://scikit-image.org/docs/stable/api/skimage.data.html#skimage.data.clock",
    ),
    _of_scikit_image("coffee.png", CC0, "Rachel Michetti, Pikolo Espresso Bar", subject="a cup of coffee"),
    # "No known copyright restrictions" is no licence.
    _of_scikit_image("coins.png", None, "Brooklyn Museum", redistributable=None),
    _of_scikit_image("grass.png", CC0, "linolafett"),
    _of_scikit_image("gravel.png", CC0, "CC0Textures"),
    _of_scikit_image("hubble_deep_field.jpg", PUBLIC_DOMAIN, "NASA, HubbleSite", subject="distant galaxies"),
    _of_scikit_image("moon.png", None, None, redistributable=None),
    _of_scikit_image("motorcycle_left.png", None, "Middlebury 2014 stereo benchmark", redistributable=None),
    _of_scikit_image("retina.jpg", CC0, "Mikael Häggström", subject="the retina of an eye"),
    _of_scikit_image("rocket.jpg", PUBLIC_DOMAIN, "SpaceX", subject="a rocket launch"),
    Photograph(
        "sklearn",
        "datasets/images/china.jpg",
        CC_BY_2,
        "https://creativecommons.org/licenses/by/2.0/",
        "danielbuechele, https://www.flickr.com/photos/danielbuechele/6061409035/",
        True,
        "a temple in China",
    ),
    Photograph(
        "sklearn",
        "datasets/images/flower.jpg",
        CC_BY_2,
        "https://creativecommons.org/licenses/by/2.0/",
        "vultilion, https://www.flickr.com/photos/vultilion/6056698931/",
        True,
        "a flower",
    ),
)
"""All photographs in the two packages."""


def digit_caption(digit: int, number: int) -> str:
    """The caption of the `number`-th scan of `digit`: three of five are like "a handwritten digit seven"."""
    word = WORDS[digit]
    otherwise = {3: f"the handwritten number {word}", 4: f"a scan of the digit {digit}"}
    return otherwise.get(number % 5, f"a handwritten digit {word}")


def write_digits(folder: Path) -> None:
    """Write 200 scans of handwritten digits (8x8 pixels, white on black, dithered) and their captions."""
    import numpy as np

    # One row is a scan: its 64 pixels and its label. Read as a file: importing scikit-learn takes a second.
    table = _of_package("sklearn", "datasets/data/digits.csv.gz")
    rows = np.loadtxt(gzip.decompress(table).decode().splitlines(), delimiter=",")
    pixels, labels = rows[:, :-1], rows[:, -1]
    files = {}
    for digit, word in enumerate(WORDS):
        for number, row in enumerate(np.flatnonzero(labels == digit)[:SCANS_OF_EACH_DIGIT]):
            # Less than half a level up or down, so that the level can still be read: rounding gives it back.
            chance = np.random.default_rng(row).uniform(-0.46, 0.46, (8, 8))
            brightness = (pixels[row].reshape(8, 8) + chance).clip(0, _GREY_LEVELS - 1) / (_GREY_LEVELS - 1)
            name = f"digit-{row:04d}-{word}"
            files[f"{name}.png"] = _png(np.rint(brightness * 255).astype(np.uint8))
            files[f"{name}.txt"] = f"{digit_caption(digit, number)}\n".encode()
    _write(folder, files, {"*": _DIGITS_LICENSE})


def piece_caption(subject: str, number: int) -> str:
    """The caption of a piece of a photograph of `subject`; there are three wordings."""
    return f"{('a photograph of', 'a detail of a photograph of', 'a close view of')[number % 3]} {subject}"


def write_pieces(folder: Path) -> None:
    """Write the pieces of `PIECES` as RGB PNG without metadata, and their captions."""
    import numpy as np
    from PIL import Image

    chance = np.random.default_rng(0)
    photographs = [photograph for photograph in PHOTOGRAPHS if photograph.subject]
    opened = [Image.open(io.BytesIO(photograph.read())).convert("RGB") for photograph in photographs]
    files, licenses = {}, {}
    for number, side in enumerate(side for side, count in PIECES.items() for _ in range(count)):
        photograph, image = photographs[number % len(photographs)], opened[number % len(photographs)]
        reductions = [reduction for reduction in _REDUCTIONS if side * reduction <= min(image.size)]
        wide = side * reductions[chance.integers(len(reductions))]
        left, top = (int(chance.integers(length - wide + 1)) for length in image.size)
        piece = image.crop((left, top, left + wide, top + wide)).resize((side, side), Image.Resampling.BOX)
        name = f"{Path(photograph.name).stem}-{number:04d}"
        files[f"{name}.png"] = _png(np.asarray(piece))
        files[f"{name}.txt"] = f"{piece_caption(str(photograph.subject), number)}\n".encode()
        licenses[f"{name}.png"] = _license(photograph)
    _write(folder, files, licenses)


def write_photos(folder: Path) -> None:
    """Write the photographs, unchanged."""
    licenses = {photograph.name: _license(photograph) for photograph in PHOTOGRAPHS}
    _write(folder, {photograph.name: photograph.read() for photograph in PHOTOGRAPHS}, licenses)


def _license(photograph: Photograph) -> dict[str, object]:
    return {
        "license": photograph.license,
        "license_link": photograph.license_link,
        "attribution": photograph.attribution,
        "redistributable": photograph.redistributable,
    }


def _png(pixels: "np.typing.NDArray[np.uint8]") -> bytes:
    """Pixels as a PNG file without metadata."""
    from PIL import Image

    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "PNG")
    return encoded.getvalue()


def _write(folder: Path, files: Mapping[str, bytes], licenses: Mapping[str, Mapping[str, object]]) -> None:
    """Write these files into `folder`; files with the right content are not written again."""
    write_json(folder / "licenses.json", licenses)
    for name, content in files.items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != content:
            path.write_bytes(content)  # what an interrupt cuts is not the right content: the next run writes it
