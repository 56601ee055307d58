import io
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from manifests.pictures.readers import Picture, PictureReaders, Request, _checked
from tests.manifests.making import png


@pytest.fixture(scope="module")
def readers() -> Iterator[PictureReaders]:
    with PictureReaders(1) as readers:
        yield readers


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    written = io.BytesIO()
    image.save(written, kind, **options)
    return written.getvalue()


def seen(readers: PictureReaders, content: bytes, fit: int = 64, stretch: bool = False) -> Picture:
    (answer,) = readers.read([Request(content, ".png", fit, stretch)])
    assert answer is not None
    return answer


def test_pictures_are_seen_upright_on_white_and_with_16_bits_scaled(readers: PictureReaders) -> None:
    turned = Image.new("RGB", (40, 20), "red")
    exif = turned.getexif()
    exif[274] = 6
    assert seen(readers, encoded(turned, "JPEG", exif=exif)).size == (20, 40)
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    assert (seen(readers, encoded(clear, "PNG")).pixels == 255).all()
    deep = Image.fromarray(np.full((8, 8), 32768, np.uint16))
    assert (seen(readers, encoded(deep, "PNG")).pixels == 128).all()


def test_grey_levels_are_those_of_the_whole_picture_and_pixels_fit_what_was_asked_for(readers: PictureReaders) -> None:
    content = encoded(Image.fromarray(np.arange(200, dtype=np.uint8).repeat(4).reshape(20, 40)), "PNG")
    fitting, stretched = seen(readers, content, 10), seen(readers, content, 8, stretch=True)
    assert (fitting.levels, stretched.levels) == (200, 200)
    assert (fitting.pixels.shape, stretched.pixels.shape) == ((5, 10, 3), (8, 8, 3))
    assert seen(readers, png(1, 16), 64).pixels.shape == (16, 16, 3)


def test_answers_are_in_order_and_what_cannot_be_decoded_has_none(readers: PictureReaders) -> None:
    good = [Request(png(number), ".png", 8) for number in range(3)]
    asked = [
        good[0],
        None,
        Request(b"\x89PNG nothing", ".png", 8),
        good[1],
        Request(png(9)[:200], ".png", 8),
        good[2],
    ]
    answers = list(readers.read(asked))
    assert [answer is None for answer in answers] == [False, True, True, False, True, False]
    again = [answer for answer in readers.read(good) if answer is not None]
    assert all((a.pixels == b.pixels).all() for a, b in zip([a for a in answers if a is not None], again, strict=True))


@pytest.mark.attack
def test_a_picture_that_asks_for_more_pixels_than_a_photograph_has_none(readers: PictureReaders) -> None:
    huge = encoded(Image.new("1", (200_000, 1_000)), "PNG")
    assert list(readers.read([Request(huge, ".png", 8)])) == [None]


@pytest.mark.attack
@pytest.mark.parametrize(
    "change",
    [
        {"size": [1]},
        {"size": [0, 5]},
        {"size": [-1, 5]},
        {"levels": 257},
        {"levels": "many"},
        {"shape": [9, 9, 3]},
        {"shape": [2, 2, 4]},
        {"shape": [1, 2, 3]},
        {"shape": None},
    ],
)
def test_an_answer_that_makes_no_sense_is_refused(change: dict[str, object]) -> None:
    question, pixels = Request(b"", "", 8), bytes(12)
    answer = {"size": [2, 2], "levels": 1, "shape": [2, 2, 3]}
    assert _checked(answer, pixels, question) is not None
    with pytest.raises((KeyError, TypeError, ValueError)):
        _checked(answer | change, pixels, question)
