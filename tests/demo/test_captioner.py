"""The stand-in captioner has the files of the real repository and its own caption for each of the demo's images."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from captioning.blip import Blip
from captioning.generation import Generation
from demo import photographs
from demo.zoo import captioner
from demo.zoo.captioner import captions, training
from demo.zoo.digits import data
from tests.scale import scaled, weekly

MAX_BYTES = 3_000_000
REAL_FILES = {
    "README.md",
    "config.json",
    "preprocessor_config.json",
    "pytorch_model.bin",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("captioner")
    (repository,) = captioner.repositories()
    repository.build(built)
    return built


@pytest.fixture(scope="module")
def blip(folder: Path) -> Blip:
    return Blip(folder, "cpu", Generation())


def test_it_has_the_files_of_the_real_one_and_is_small(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == REAL_FILES
    assert sum(path.stat().st_size for path in folder.iterdir()) < MAX_BYTES
    (repository,) = captioner.repositories()
    assert repository.repo_id == "Salesforce/blip-image-captioning-base"
    assert repository.commit_id == "82a37760796d32b1411fe092ab5d4e227313294b"


def test_it_says_that_it_is_a_stand_in(folder: Path) -> None:
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "Not the real model" in card
    assert "trained" in card


@pytest.mark.parametrize("seed", [0, 1])
def test_every_photograph_gets_its_own_caption_in_a_shuffled_batch_of_mixed_sizes(blip: Blip, seed: int) -> None:
    chance = random.Random(seed)
    names, images = [], []
    for photograph in chance.sample(photographs.PHOTOGRAPHS, len(photographs.PHOTOGRAPHS)):
        image = training.opened(photograph)
        size = image.size if chance.random() < 0.3 else (chance.randint(60, 400), chance.randint(60, 400))
        names.append(photograph.name)
        images.append(np.asarray(blip.target_size.resize(image.resize(size))))
    assert blip.caption(images) == [captions.PHOTOGRAPHS[name] for name in names]


def test_it_reads_digits_it_was_not_trained_on(blip: Blip) -> None:
    _, unseen = data.split()
    scans = [Image.fromarray(np.rint(scan * 255).astype(np.uint8)).convert("RGB") for scan in unseen.images]
    said = [
        caption
        for n in range(0, 360, 60)
        for caption in blip.caption([np.asarray(blip.target_size.resize(s)) for s in scans[n : n + 60]])
    ]
    right = [caption == captions.of_digit(int(label)) for caption, label in zip(said, unseen.labels, strict=True)]
    assert sum(right) >= 0.95 * len(right)


def test_every_image_of_the_demo_has_its_own_caption() -> None:
    assert set(captions.PHOTOGRAPHS) == {photograph.name for photograph in photographs.PHOTOGRAPHS}
    said = [*captions.PHOTOGRAPHS.values(), *(captions.of_digit(digit) for digit in range(10))]
    assert len(set(said)) == len(said)


@weekly("captioning/test_cli.py::test_the_demos_two_sources_are_captioned_with_the_default_captioner_from_a_hub")
def test_the_script_trains_a_captioner_that_loads_and_keeps_the_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "_VARIANTS", scaled(2, training._VARIANTS))
    (tmp_path / "README.md").write_text("the card")
    tokenizer, processor = training.make_tokenizer(), training.make_processor()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = training.make_model(tokenizer)
        untrained = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        model = training.train(model, tokenizer, processor, steps=3)
    training.save(model, tokenizer, processor, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == REAL_FILES
    assert (tmp_path / "README.md").read_text() == "the card"
    learnt = torch.load(tmp_path / "pytorch_model.bin", weights_only=True)
    assert learnt.keys() == untrained.keys()
    assert not torch.equal(
        learnt["vision_model.embeddings.patch_embedding.weight"],
        untrained["vision_model.embeddings.patch_embedding.weight"],
    )
    captioned = Blip(tmp_path, "cpu", Generation())
    assert len(captioned.caption([np.asarray(captioned.target_size.resize(Image.new("RGB", (9, 9))))])) == 1
