"""captioning/target_size.py: images are resized as the captioner's own preprocessing would resize them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from transformers import AutoImageProcessor, CLIPImageProcessorPil

from captioning.decoding import Decoded, Job, decode
from captioning.images import read_image
from captioning.preprocessing import Preprocessing
from captioning.sources.source import RealImage
from captioning.target_size import TargetSize
from tests.captioning.oddities import encoded, picture, rotated_by_exif
from workspace.errors import UsageError

SIZES = [(1, 1), (3, 1), (97, 61), (61, 97), (640, 427), (224, 224), (225, 900)]


@pytest.fixture
def cropping(tmp_path: Path) -> Path:
    """A captioner's folder whose preprocessing keeps proportions and crops the center, as CLIP's and GIT's."""
    CLIPImageProcessorPil(size={"shortest_edge": 24}, crop_size={"height": 24, "width": 24}).save_pretrained(tmp_path)
    return tmp_path


@pytest.mark.parametrize("size", SIZES)
def test_with_a_center_crop_the_input_is_that_of_the_models_own_preprocessing(
    cropping: Path, size: tuple[int, int]
) -> None:
    image, preprocessing = picture(*size), Preprocessing(cropping)
    (ours,) = preprocessing.to_tensor([np.asarray(preprocessing.target_size.resize(image))])
    theirs = AutoImageProcessor.from_pretrained(cropping, backend="pil")(images=image, return_tensors="np")
    assert np.array_equal(ours, theirs["pixel_values"][0])


def test_a_line_does_not_fill_the_memory(cropping: Path) -> None:
    preprocessing = Preprocessing(cropping)
    view = np.asarray(preprocessing.target_size.resize(Image.new("RGB", (1, 1_000_000), "red")))
    assert view.shape == (96, 24, 3)
    assert preprocessing.to_tensor([view]).shape == (1, 3, 24, 24)


@pytest.mark.parametrize(
    "changes",
    [{"do_resize": False}, {"do_center_crop": False}, {"size": {"shortest_edge": 24, "longest_edge": 48}}],
)
def test_a_preprocessing_that_makes_images_of_several_sizes_is_refused(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    CLIPImageProcessorPil(**changes).save_pretrained(tmp_path)
    with pytest.raises(UsageError, match="does not resize images to one size"):
        Preprocessing(tmp_path)


@pytest.mark.parametrize(
    ("size", "side", "decoded"),
    [
        ((4000, 3000), 384, (1000, 750)),
        ((4000, 3000), 32, (500, 375)),
        ((1300, 1200), 384, (650, 600)),
        ((1200, 1100), 384, (1200, 1100)),
        ((640, 427), 384, (640, 427)),
    ],
)
def test_a_jpeg_is_decoded_at_the_smallest_sufficient_size(
    tmp_path: Path, size: tuple[int, int], side: int, decoded: tuple[int, int]
) -> None:
    path = tmp_path / "a.jpg"
    Image.linear_gradient("L").resize(size).save(path)
    facts, view = read_image(path, TargetSize(side, side, 0).min_jpeg_side)
    assert (facts.width, facts.height) == size
    assert view.size == decoded
    assert read_image(path)[1].size == size


def test_each_side_of_a_reduced_jpeg_is_long_enough_for_the_longer_side() -> None:
    assert TargetSize(100, 301, 0).min_jpeg_side == TargetSize(301, 100, 0).min_jpeg_side == 452  # 1.5 * 301 = 451.5


def test_the_shorter_side_becomes_the_longer_one_of_the_target() -> None:
    size = TargetSize(10, 20, Image.Resampling.NEAREST, center_crop=True)
    assert size.resize(Image.new("RGB", (30, 60))).size == (20, 40)
    assert size.resize(Image.new("RGB", (60, 30))).size == (40, 20)


def test_the_center_of_a_long_image_is_kept() -> None:
    image = Image.new("RGB", (10, 100), "red")
    image.paste("blue", (0, 30, 10, 70))
    for turned in (image, image.transpose(Image.Transpose.ROTATE_90)):
        resized = TargetSize(10, 10, Image.Resampling.NEAREST, center_crop=True).resize(turned)
        assert sorted(resized.size) == [10, 40]
        assert resized.getcolors() == [(400, (0, 0, 255))]


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "PPM"])
def test_other_formats_are_decoded_in_full_size(tmp_path: Path, format: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(encoded(picture(100, 80), format))
    assert read_image(path, 1)[1].size == (100, 80)


def test_a_reduced_photograph_is_upright_and_looks_like_the_full_one(tmp_path: Path, photos: Path) -> None:
    with Image.open(photos / "chelsea.png") as opened:
        image = opened.convert("RGB").resize((3000, 2000))
    path = tmp_path / "a.jpg"
    path.write_bytes(rotated_by_exif(image, 6))
    target_size = TargetSize(64, 64, Image.Resampling.BICUBIC)
    outcome = decode(Job(RealImage("a", path), target_size))
    assert isinstance(outcome, Decoded)
    assert outcome.pixels is not None
    whole = np.asarray(target_size.resize(read_image(path)[1]), dtype=np.float32)
    assert np.abs(outcome.pixels - whole).mean() < 1.5
