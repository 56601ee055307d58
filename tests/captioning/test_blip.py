"""captioning/blip.py: a BLIP is loaded whole or not at all, and generates as the recipe says."""

import shutil
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor

from captioning.blip import Blip
from captioning.generation import Generation
from captioning.preprocessing import Preprocessing
from demo.zoo.captioner import REPOSITORY
from demo.zoo.captioner.captions import PHOTOGRAPHS
from workspace.device import chosen_device
from workspace.errors import UsageError


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(REPOSITORY, tmp_path / "model"))


def view(blip: Blip, image: Image.Image) -> npt.NDArray[np.uint8]:
    return np.asarray(blip.target_size.resize(image))


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (1, 900), (900, 1), (3, 1), (640, 427)])
def test_images_of_every_size_become_one_size(blip: Blip, size: tuple[int, int]) -> None:
    (prepared,) = Preprocessing(REPOSITORY).to_tensor([view(blip, Image.new("RGB", size, (255, 0, 0)))])
    assert prepared.shape == (3, 32, 32)
    assert prepared.dtype == torch.float32
    assert prepared[0].min() > 1.8  # red: (1 - 0.48) / 0.27
    assert prepared[1:].max() < -1.4


def test_resizing_while_decoding_gives_what_the_models_own_preprocessing_gives(blip: Blip, photos: Path) -> None:
    theirs = AutoImageProcessor.from_pretrained(REPOSITORY, backend="pil")
    for name in PHOTOGRAPHS:
        image = Image.open(photos / name).convert("RGB")
        (ours,) = Preprocessing(REPOSITORY).to_tensor([view(blip, image)])
        assert np.array_equal(ours, theirs(images=image, return_tensors="np")["pixel_values"][0])


def test_a_caption_does_not_depend_on_its_batch(blip: Blip, photos: Path) -> None:
    views = {name: view(blip, Image.open(photos / name).convert("RGB")) for name in PHOTOGRAPHS}
    alone = {name: blip.caption([pixels])[0] for name, pixels in views.items()}
    together = dict(zip(views, blip.caption(list(views.values())), strict=True))
    assert alone == together == PHOTOGRAPHS


def test_the_prompt_and_the_settings_reach_the_model(photos: Path) -> None:
    pixels = Image.open(photos / "chelsea.png").convert("RGB")
    short = Blip(REPOSITORY, "cpu", Generation(max_length=6, min_length=5))
    assert short.caption([view(short, pixels)]) == ["a ginger"]  # start token, three of the prompt, two more
    greedy = Blip(REPOSITORY, "cpu", Generation(num_beams=1))
    assert greedy.caption([view(greedy, pixels)]) == [PHOTOGRAPHS["chelsea.png"]]


def test_weights_are_loaded_as_they_are_in_the_file(copy: Path, photos: Path) -> None:
    weights = torch.load(copy / "pytorch_model.bin", weights_only=True)
    weights["text_decoder.cls.predictions.bias"][:] = 0
    weights["text_decoder.cls.predictions.decoder.bias"][:] = 0
    weights["text_decoder.cls.predictions.bias"][10] = 1e4
    weights["text_decoder.cls.predictions.decoder.bias"][10] = 1e4
    torch.save(weights, copy / "pytorch_model.bin")
    obsessed = Blip(copy, "cpu", Generation())
    (caption,) = obsessed.caption([view(obsessed, Image.open(photos / "coffee.png").convert("RGB"))])
    assert len(set(caption.split())) == 1


def test_missing_weights_are_refused_and_not_random(copy: Path) -> None:
    weights = torch.load(copy / "pytorch_model.bin", weights_only=True)
    del weights["vision_model.encoder.layers.1.mlp.fc1.weight"]
    torch.save(weights, copy / "pytorch_model.bin")
    with pytest.raises(UsageError, match=r"not a whole BlipForConditionalGeneration.*layers\.1\.mlp\.fc1\.weight"):
        Blip(copy, "cpu", Generation())


class Malicious:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (warnings.warn, ("the pickle ran",))


@pytest.mark.parametrize("damage", ["truncated", "text", "short", "pickle", "configuration", "tokenizer"])
def test_a_damaged_captioner_is_refused_with_one_line(copy: Path, damage: str) -> None:
    weights = copy / "pytorch_model.bin"
    if damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:100_000])
    elif damage == "text":
        weights.write_text("version https://git-lfs.github.com/spec/v1\n")
    elif damage == "short":
        weights.write_bytes(b"junk")
    elif damage == "pickle":
        torch.save({"weight": Malicious()}, weights)
    elif damage == "configuration":
        (copy / "config.json").write_text("{")
    else:
        (copy / "tokenizer.json").write_text("{")
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with pytest.raises(UsageError, match="cannot be loaded as a captioner") as refused:
            Blip(copy, "cpu", Generation())
    assert "\n" not in str(refused.value)
    assert not [warning for warning in warned if "the pickle ran" in str(warning.message)]


def test_auto_is_a_device_that_exists() -> None:
    assert chosen_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
    assert chosen_device("cpu") == "cpu"


@pytest.mark.parametrize("device", ["cuda:99", "gpu", ""])
def test_a_device_that_does_not_exist_is_refused_with_one_line(device: str) -> None:
    with pytest.raises(UsageError, match="--device") as refused:
        chosen_device(device)
    assert "\n" not in str(refused.value)
