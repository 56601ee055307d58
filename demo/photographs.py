"""Real images for the demo, from packages that are installed anyway, so that nothing is downloaded.

    digits   scans of handwritten digits (scikit-learn), each with a caption in a .txt file beside it
    photos   photographs (scikit-image, scikit-learn), unchanged, without captions

Both are plain folders with a `licenses.json`, which has for each image, or for all images as "*", what its package
documents: `license` (null: not documented), `license_link`, `attribution`, `redistributable` (null: unknown).
`captioning/sources/folder.py` reads this layout.
"""

import gzip
import io
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from demo.zoo.digits.data import WORDS
from workspace.atomic import write_bytes, write_json

SCANS_OF_EACH_DIGIT = 20
"""Number of scans of each digit: the first ones of the dataset."""

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
) -> Photograph:
    documentation = f"https://scikit-image.org/docs/stable/api/skimage.data.html#skimage.data.{Path(name).stem}"
    return Photograph(
        "skimage", f"data/{name}", license, link or documentation if license else None, attribution, redistributable
    )


# Licences by scikit-image's documentation of each image (`skimage/data/_fetchers.py`). Not used: drawings and test
# patterns, micrographs, scanned text, and the right half of a stereo pair.
PHOTOGRAPHS = (
    _of_scikit_image("astronaut.png", PUBLIC_DOMAIN, "NASA"),
    _of_scikit_image("brick.png", CC0, "CC0Textures"),
    _of_scikit_image("camera.png", CC0, "Lav Varshney"),
    _of_scikit_image("chelsea.png", CC0, "Stefan van der Walt"),
    _of_scikit_image(
        "clock_motion.png",
        PUBLIC_DOMAIN,
        "Stefan van der Walt",
        "https://scikit-image.org/docs/stable/api/skimage.data.html#skimage.data.clock",
    ),
    _of_scikit_image("coffee.png", CC0, "Rachel Michetti, Pikolo Espresso Bar"),
    # "No known copyright restrictions" is no licence.
    _of_scikit_image("coins.png", None, "Brooklyn Museum", redistributable=None),
    _of_scikit_image("grass.png", CC0, "linolafett"),
    _of_scikit_image("gravel.png", CC0, "CC0Textures"),
    _of_scikit_image("hubble_deep_field.jpg", PUBLIC_DOMAIN, "NASA, HubbleSite"),
    _of_scikit_image("moon.png", None, None, redistributable=None),
    _of_scikit_image("motorcycle_left.png", None, "Middlebury 2014 stereo benchmark", redistributable=None),
    _of_scikit_image("retina.jpg", CC0, "Mikael Häggström"),
    _of_scikit_image("rocket.jpg", PUBLIC_DOMAIN, "SpaceX"),
    Photograph(
        "sklearn",
        "datasets/images/china.jpg",
        CC_BY_2,
        "https://creativecommons.org/licenses/by/2.0/",
        "danielbuechele, https://www.flickr.com/photos/danielbuechele/6061409035/",
        True,
    ),
    Photograph(
        "sklearn",
        "datasets/images/flower.jpg",
        CC_BY_2,
        "https://creativecommons.org/licenses/by/2.0/",
        "vultilion, https://www.flickr.com/photos/vultilion/6056698931/",
        True,
    ),
)
"""All photographs in the two packages."""


def digit_caption(digit: int, number: int) -> str:
    """The caption of the `number`-th scan of `digit`: three of five are like "a handwritten digit seven"."""
    word = WORDS[digit]
    otherwise = {3: f"the handwritten number {word}", 4: f"a scan of the digit {digit}"}
    return otherwise.get(number % 5, f"a handwritten digit {word}")


def write_digits(folder: Path) -> None:
    """Write 200 scans of handwritten digits (8x8 pixels, white on black) and their captions."""
    import numpy as np
    from PIL import Image

    # One row is a scan: its 64 pixels and its label. Read as a file: importing scikit-learn takes a second.
    table = _of_package("sklearn", "datasets/data/digits.csv.gz")
    rows = np.loadtxt(gzip.decompress(table).decode().splitlines(), delimiter=",")
    pixels, labels = rows[:, :-1], rows[:, -1]
    files = {}
    for digit, word in enumerate(WORDS):
        for number, row in enumerate(np.flatnonzero(labels == digit)[:SCANS_OF_EACH_DIGIT]):
            # 17 grey levels, 0 to 16, spread over 0 to 255.
            scan = np.rint(pixels[row].reshape(8, 8) * (255 / 16)).astype(np.uint8)
            encoded = io.BytesIO()
            Image.fromarray(scan).save(encoded, "PNG")
            name = f"digit-{row:04d}-{word}"
            files[f"{name}.png"] = encoded.getvalue()
            files[f"{name}.txt"] = f"{digit_caption(digit, number)}\n".encode()
    _write(folder, files, {"*": _DIGITS_LICENSE})


def write_photos(folder: Path) -> None:
    """Write the photographs, unchanged."""
    licenses = {
        photograph.name: {
            "license": photograph.license,
            "license_link": photograph.license_link,
            "attribution": photograph.attribution,
            "redistributable": photograph.redistributable,
        }
        for photograph in PHOTOGRAPHS
    }
    _write(folder, {photograph.name: photograph.read() for photograph in PHOTOGRAPHS}, licenses)


def _write(folder: Path, files: Mapping[str, bytes], licenses: Mapping[str, Mapping[str, object]]) -> None:
    """Write these files into `folder`, each whole or not at all; files with the right content are not written again."""
    write_json(folder / "licenses.json", licenses)
    for name, content in files.items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != content:
            write_bytes(path, content)
