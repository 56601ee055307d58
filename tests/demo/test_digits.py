"""The trained generators make the requested digits, as a classifier that was trained on real digits reads them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from diffusers import DDPMScheduler, DiffusionPipeline
from PIL import Image
from safetensors import safe_open
from sklearn.svm import SVC

from demo.zoo.digits import data, repositories
from demo.zoo.digits.denoising import teach
from demo.zoo.digits.training import TRAINERS, save
from tests.scale import scaled

NAMES = ("if-digits", "ddpm-digits", "dit-digits")
MAX_BYTES = 12_000_000  # of all three; the zoo's committed weights have to stay a small part of a clone

Reader = Callable[[np.ndarray], np.ndarray]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def read() -> Reader:
    """The digit of each image of (n, 8, 8) in [0, 1], by a support vector machine."""
    seen, _ = data.split()
    machine = SVC(gamma=0.001).fit(seen.images.reshape(-1, 64) * 16, seen.labels)
    return lambda images: machine.predict(images.reshape(-1, 64) * 16)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    built = {}
    for repository in repositories():
        folder = tmp_path_factory.mktemp("zoo") / "repository"
        folder.mkdir()
        repository.build(folder)
        built[repository.repo_id.partition("/")[2]] = folder
    return built


def load(folder: Path) -> Any:
    pipeline = DiffusionPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def generators(count: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in range(count)]


def pixels(images: list[Image.Image]) -> np.ndarray:
    return np.stack([np.asarray(image.convert("L"), np.float32) / 255 for image in images])


def distance_to_real(images: np.ndarray) -> np.ndarray:
    """The distance of each image to the nearest training scan: Euclidean, pixels in [0, 1]."""
    seen, _ = data.split()
    return np.array([np.linalg.norm(seen.images - image, axis=(1, 2)).min() for image in images])


def test_the_classifier_reads_real_digits_it_has_not_seen(read):
    _, unseen = data.split()

    assert np.mean(read(unseen.images) == unseen.labels) >= 0.97


def test_an_image_shows_the_digit_of_its_prompt(folders, read):
    templates = ("a handwritten digit {word}", "the handwritten number {word}", "a scan of the digit {numeral}")
    repeats = scaled(1, 2)
    asked = np.array([digit for _ in templates for digit in range(10)] * repeats)
    prompts = [t.format(word=data.WORDS[digit], numeral=digit) for t in templates for digit in range(10)] * repeats

    drawn = load(folders["if-digits"])(
        prompts, num_inference_steps=20, guidance_scale=2.0, generator=generators(len(prompts))
    ).images
    shown = read(pixels(drawn))

    assert np.mean(shown == asked) >= 0.9
    assert {(image.mode, image.size) for image in drawn} == {("RGB", (8, 8))}
    # The measure can fail: compared with the prompts in another order, nearly all of these images are wrong.
    assert np.mean(shown == np.random.default_rng(0).permutation(asked)) < 0.4


def test_the_digit_depends_on_the_prompt_alone(folders, read):
    # The same noise for all: differences between the ten images come from the prompts.
    prompts = [f"a photo of the handwritten number {digit}" for digit in range(10)]
    noise = [torch.Generator().manual_seed(7) for _ in prompts]

    drawn = load(folders["if-digits"])(prompts, num_inference_steps=20, guidance_scale=2.0, generator=noise).images

    assert len(set(read(pixels(drawn)).tolist())) >= 8


def test_a_prompt_about_something_else_gives_a_digit_too(folders):
    prompts = ["A cup of coffee, on a wooden table.", "", "l'été à Zürich: 東京 #42", "word " * 200] * scaled(2, 5)

    drawn = load(folders["if-digits"])(
        prompts, num_inference_steps=20, guidance_scale=2.0, generator=generators(len(prompts))
    ).images

    assert np.median(distance_to_real(pixels(drawn))) < 1.5 * np.median(distance_to_real(data.split()[1].images))


def test_an_image_shows_the_digit_of_its_class(folders, read):
    pipeline = load(folders["dit-digits"])
    asked = np.array(list(range(10)) * scaled(3, 6))
    class_ids = pipeline.get_label_ids([data.WORDS[digit] for digit in asked])

    drawn = pipeline(class_ids, num_inference_steps=20, guidance_scale=2.0, generator=generators(len(asked))).images
    shown = read(pixels(drawn))

    assert np.mean(shown == asked) >= 0.9
    assert {(image.mode, image.size) for image in drawn} == {("RGB", (8, 8))}
    assert np.mean(shown == np.random.default_rng(0).permutation(asked)) < 0.4


def test_unprompted_digits_are_of_all_kinds_and_look_real(folders, read):
    count = scaled(50, 100)
    drawn = load(folders["ddpm-digits"])(batch_size=count, num_inference_steps=30, generator=generators(count)).images
    images = pixels(drawn)
    _, unseen = data.split()
    real = np.median(distance_to_real(unseen.images))
    rng = np.random.default_rng(0)

    assert len(set(read(images).tolist())) >= 8
    assert {(image.mode, image.size) for image in drawn} == {("L", (8, 8))}
    assert np.median(distance_to_real(images)) < 1.25 * real
    assert distance_to_real(images).min() > 0, "a scan was learnt by heart"
    # The measure can fail: with their pixels in random order, these images are far from every real digit.
    scrambled = rng.permutation(images.reshape(-1, 64), axis=1).reshape(-1, 8, 8)
    assert np.median(distance_to_real(scrambled)) > 1.5 * real


@pytest.mark.parametrize("name", NAMES)
def test_the_training_script_makes_what_is_committed(folders, tmp_path, name):
    card = "its card\n"
    (tmp_path / "README.md").write_text(card)

    save(TRAINERS[name](steps=4), tmp_path)

    assert (tmp_path / "README.md").read_text() == card
    committed = folders[name]
    assert files(tmp_path) == files(committed)
    for path in files(committed):
        if path.endswith(".safetensors"):
            assert shapes(tmp_path / path) == shapes(committed / path)
        elif path.endswith(".json"):
            assert settings(tmp_path / path) == settings(committed / path)


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_training_finds_the_image_behind_the_noise(prediction_type):
    # A denoiser that knows how noise is added; its weight is the one image that the noise is added to.
    image = torch.tensor([[0.8, -0.5], [0.1, -1.0]])
    scheduler = DDPMScheduler(prediction_type=prediction_type)
    guess = torch.nn.Parameter(torch.zeros(2, 2))

    def predict(noisy, timesteps, _rows):
        kept = scheduler.alphas_cumprod[timesteps][:, None, None, None]
        noise = (noisy - kept.sqrt() * guess) / (1 - kept).sqrt()
        return noise if prediction_type == "epsilon" else kept.sqrt() * noise - (1 - kept).sqrt() * guess

    teach(predict, [guess], image.expand(16, 1, 2, 2), scheduler, steps=200, learning_rate=0.05)

    assert torch.allclose(guess, image, atol=0.02)


def test_a_repository_has_the_same_bytes_each_time_and_is_small(folders, tmp_path):
    total = 0
    for repository in repositories():
        again = tmp_path / repository.repo_id
        again.mkdir(parents=True)
        repository.build(again)
        first = folders[repository.repo_id.partition("/")[2]]
        assert files(again) == files(first)
        for path in files(again):
            assert (again / path).read_bytes() == (first / path).read_bytes()
            total += (again / path).stat().st_size
    assert total <= MAX_BYTES


@pytest.mark.parametrize("name", NAMES)
def test_a_card_has_licence_library_and_a_snippet(folders, name):
    _, front_matter, text = (folders[name] / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    card = yaml.safe_load(front_matter)

    assert card["license"] in {"mit", "apache-2.0"}
    assert card["library_name"] == "diffusers"
    snippet = text.split("```python\n")[1].split("```")[0]
    compile(snippet, name, "exec")
    assert f'from_pretrained("inkwell/{name}")' in snippet
    assert "num_inference_steps=" in snippet


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def shapes(path: Path) -> dict[str, list[int]]:
    with safe_open(path, "pt") as tensors:
        return {name: tensors.get_slice(name).get_shape() for name in tensors.keys()}  # noqa: SIM118


def settings(path: Path) -> Any:
    """A configuration without what depends on library versions or on the outcome of the training."""
    found = json.loads(path.read_text(encoding="utf-8"))
    return {key: value for key, value in found.items() if not key.endswith("_version") and key != "scaling_factor"}
