"""captioning/lavis/: given the same weights, both back ends give the same greedy captions."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import psutil
import pytest
import torch
from PIL import Image

from captioning.blip import Blip
from captioning.captioner import Captioner
from captioning.generation import Generation
from captioning.lavis.backend import load_lavis
from captioning.prompt import read_prompts
from demo import photographs
from demo.zoo.captioner import REPOSITORY
from demo.zoo.captioner.captions import PHOTOGRAPHS
from workspace import recipe
from workspace.errors import CommunityForensicsError, UsageError
from workspace.layout import Workspace

GREEDY = Generation(num_beams=1)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("real")
    photographs.write_photos(folder / "photos")
    photographs.write_digits(folder / "digits")
    return folder


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny captioner with noise on its weights: its captions are nonsense of all lengths, and differ."""
    folder = Path(shutil.copytree(REPOSITORY, tmp_path_factory.mktemp("noisy") / "captioner"))
    weights = torch.load(folder / "pytorch_model.bin", weights_only=True)
    chance = torch.Generator().manual_seed(0)
    for name, tensor in weights.items():
        if tensor.is_floating_point() and "norm" not in name.lower():
            tensor.add_(torch.randn(tensor.shape, generator=chance) * 0.05)
    # Tied weights stay tied.
    decoder = "text_decoder.cls.predictions"
    weights[f"{decoder}.decoder.weight"] = weights["text_decoder.bert.embeddings.word_embeddings.weight"]
    weights[f"{decoder}.decoder.bias"] = weights[f"{decoder}.bias"]
    torch.save(weights, folder / "pytorch_model.bin")
    return folder


def resized(captioner: Captioner, folder: Path) -> list[npt.NDArray[np.uint8]]:
    paths = sorted(path for path in folder.rglob("*") if path.suffix in (".png", ".jpg"))
    return [np.asarray(captioner.target_size.resize(Image.open(path).convert("RGB"))) for path in paths]


def test_a_trained_captioner_gives_the_same_captions_by_both_back_ends(pictures: Path) -> None:
    ours, lavis = Blip(REPOSITORY, "cpu", GREEDY), load_lavis(REPOSITORY, "cpu", GREEDY)
    assert ours.target_size == lavis.target_size
    seen = resized(ours, pictures)
    assert len(seen) == 216
    for start in range(0, len(seen), 50):
        batch = seen[start : start + 50]
        assert lavis.caption(batch) == ours.caption(batch)


def test_a_captioner_with_noisy_weights_gives_the_same_captions(pictures: Path, noisy: Path) -> None:
    ours, lavis = Blip(noisy, "cpu", GREEDY), load_lavis(noisy, "cpu", GREEDY)
    seen = resized(ours, pictures / "photos")
    captions = ours.caption(seen)
    assert len(set(captions)) >= 12
    assert set(captions).isdisjoint(PHOTOGRAPHS.values())
    assert lavis.caption(seen) == captions


def test_safetensors_without_tied_weights_give_the_same_captions(pictures: Path, tmp_path: Path) -> None:
    from transformers import BlipForConditionalGeneration

    folder = Path(shutil.copytree(REPOSITORY, tmp_path / "captioner"))
    BlipForConditionalGeneration.from_pretrained(folder).save_pretrained(folder)
    (folder / "pytorch_model.bin").unlink()
    lavis = load_lavis(folder, "cpu", GREEDY)
    assert lavis.caption(resized(lavis, pictures / "photos")) == list(PHOTOGRAPHS.values())


def test_the_command_line_gives_the_same_prompts_and_names_the_back_end(pictures: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from captioning.cli import main; main()", "--source", f"p={pictures / 'photos'}"]
    command += ["--workspace", str(tmp_path), "--captioner", str(REPOSITORY), "--backend", "lavis", "--batch-size", "5"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    prompts = read_prompts(Workspace.open(tmp_path))
    assert {prompt.real_id: prompt.prompt for prompt in prompts} == PHOTOGRAPHS
    assert all(str(prompt.captioner).endswith(" (lavis)") for prompt in prompts)
    assert recipe.read(Workspace.open(tmp_path))["caption"]["backend"] == "lavis"
    again = subprocess.run([*command, "--backend", "transformers"], capture_output=True, text=True, check=False)
    assert again.returncode == 2
    assert "backend was 'lavis', now 'transformers'" in again.stderr


def test_missing_and_malicious_weights_are_refused(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(REPOSITORY, tmp_path / "captioner"))
    whole = torch.load(folder / "pytorch_model.bin", weights_only=True)
    name = "vision_model.encoder.layers.1.mlp.fc1.weight"
    torch.save({key: tensor for key, tensor in whole.items() if key != name}, folder / "pytorch_model.bin")
    with pytest.raises(UsageError, match=r"weights are missing, such as visual_encoder\.blocks\.1\.mlp\.fc1\.weight"):
        load_lavis(folder, "cpu", GREEDY)
    torch.save({**whole, name: Malicious(tmp_path / "ran")}, folder / "pytorch_model.bin")
    with pytest.raises(UsageError, match="cannot be loaded by LAVIS"):
        load_lavis(folder, "cpu", GREEDY)
    assert not (tmp_path / "ran").exists()


class Malicious:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (os.mkdir, (str(self.path),))


def test_the_child_is_behind_all_walls_and_its_end_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    lavis = load_lavis(REPOSITORY, "cpu", GREEDY)
    assert {"audit", "memory", "limits", "landlock", "seccomp"} <= set(lavis._process.walls)
    child = psutil.Process(lavis._process.pid)
    assert "HF_TOKEN" not in child.environ()
    assert child.environ()["HF_HUB_OFFLINE"] == "1"
    child.send_signal(signal.SIGKILL)
    with pytest.raises(CommunityForensicsError, match="the process of the captioner was killed by signal 9"):
        lavis.caption([np.zeros((32, 32, 3), np.uint8)])
    lavis = load_lavis(REPOSITORY, "cpu", GREEDY)
    child = psutil.Process(lavis._process.pid)
    del lavis
    assert not child.is_running()


def test_without_its_environment_the_command_says_what_to_do(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CF_LAVIS", str(tmp_path / "nowhere"))
    with pytest.raises(UsageError, match=r"nowhere/bin/python does not exist: run `make lavis-env`, or set CF_LAVIS"):
        load_lavis(REPOSITORY, "cpu", GREEDY)
