"""captioning/image_to_text.py: image-to-text models of transformers, and the refusal of all others."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    AutoTokenizer,
    Blip2Config,
    Blip2ForConditionalGeneration,
    BlipConfig,
    BlipForQuestionAnswering,
    BlipImageProcessorPil,
    CLIPImageProcessorPil,
    GitConfig,
    GitForCausalLM,
    GPT2Config,
    OPTConfig,
    VisionEncoderDecoderConfig,
    VisionEncoderDecoderModel,
    ViTConfig,
)

from captioning.captioner import CaptionerReference
from captioning.generation import Generation
from captioning.image_to_text import ImageToText
from captioning.prompt import read_prompts
from captioning.weights import pin
from demo.zoo.captioner import REPOSITORY
from tests.captioning.runs import caption_here
from workspace import recipe
from workspace.errors import UsageError
from workspace.layout import Workspace

SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
VISION = {**SMALL, "image_size": 32, "patch_size": 8}


def tokens(extra: int = 0) -> dict[str, int]:
    return {"vocab_size": 173 + extra, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}


def git(folder: Path) -> None:
    GitForCausalLM(GitConfig(vision_config=VISION, **SMALL, **tokens())).save_pretrained(folder)
    processor = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    processor.save_pretrained(folder)


def vit_gpt2(folder: Path) -> None:
    decoder = GPT2Config(n_embd=32, n_layer=2, n_head=2, n_positions=64, **tokens())
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(ViTConfig(**VISION), decoder)
    config.decoder_start_token_id, config.pad_token_id, config.eos_token_id = 2, 0, 3
    model = VisionEncoderDecoderModel(config)
    model.generation_config.decoder_start_token_id, model.generation_config.pad_token_id = 2, 0
    model.save_pretrained(folder)
    # As the real one's is written: by a transformers of 2022.
    old = {"feature_extractor_type": "ViTFeatureExtractor", "size": 32, "resample": 2, "do_resize": True}
    old |= {"do_normalize": True, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
    (folder / "preprocessor_config.json").write_text(json.dumps(old))


def blip_2(folder: Path) -> None:
    former = {**SMALL, "encoder_hidden_size": 32, "vocab_size": 173}
    text = OPTConfig(hidden_size=32, ffn_dim=64, num_hidden_layers=2, num_attention_heads=2, **tokens(1))
    text.word_embed_proj_dim = 32
    config = Blip2Config(
        vision_config=VISION,
        qformer_config=former,
        text_config=text.to_dict(),
        num_query_tokens=4,
        image_token_index=173,
    )
    Blip2ForConditionalGeneration(config).save_pretrained(folder)
    BlipImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)


def make(build: Callable[[Path], None], folder: Path) -> Path:
    """A tiny captioner with weights so wide that it tells images apart."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        build(folder)
        tokenizer = AutoTokenizer.from_pretrained(REPOSITORY)
        tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
        tokenizer.save_pretrained(folder)
        widen(folder)
    return folder


def widen(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    for name, tensor in weights.items():
        if tensor.dim() > 1:
            tensor.copy_(torch.randn(tensor.shape) * (0.3 if "embed" not in name else 1.0))
        elif "norm" in name and name.endswith("weight"):
            tensor.fill_(1.0)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.fixture(scope="module", params=[git, vit_gpt2, blip_2], ids=lambda build: build.__name__)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(request.param, tmp_path_factory.mktemp("captioner"))


def test_every_image_has_the_caption_that_it_has_alone(folder: Path, photos: Path) -> None:
    captioner = ImageToText(folder, "cpu", Generation(num_beams=1))
    images = [Image.open(path).convert("RGB") for path in sorted(photos.iterdir()) if path.suffix in (".png", ".jpg")]
    views = [np.asarray(captioner.target_size.resize(image)) for image in images]
    alone = [captioner.caption([view])[0] for view in views]
    assert len(set(alone)) >= 8
    assert not any("<image>" in caption for caption in alone)
    # The middle of images of other proportions is of another size, to be cropped: a batch takes both.
    order = np.random.default_rng(0).permutation(len(views))
    assert captioner.caption([views[number] for number in order]) == [alone[number] for number in order]
    assert len(captioner.caption([views[0]])) == 1


def test_the_settings_reach_the_model(folder: Path, photos: Path) -> None:
    image = Image.open(photos / "coffee.png").convert("RGB")
    short, long = (ImageToText(folder, "cpu", Generation(max_length=length)) for length in (3, 30))
    view = np.asarray(short.target_size.resize(image))
    assert 0 < len(short.caption([view])[0]) < len(long.caption([view])[0])


def test_the_stage_takes_it_and_pins_its_content(photos: Path, tmp_path: Path) -> None:
    captioner = make(git, tmp_path / "tiny-git")
    caption_here(tmp_path / "ws", {"p": photos}, captioner=str(captioner))
    name = pin(CaptionerReference.parse(str(captioner))).name
    assert name.startswith("tiny-git@sha256-")
    workspace = Workspace.open(tmp_path / "ws")
    assert {prompt.captioner for prompt in read_prompts(workspace)} == {name}
    assert recipe.read(workspace)["caption"]["captioner"] == name


def refusal(folder: Path) -> str:
    with pytest.raises(UsageError) as refused:
        ImageToText(folder, "cpu", Generation())
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_a_model_that_needs_a_question_is_refused(tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY, tmp_path, dirs_exist_ok=True)
    (tmp_path / "pytorch_model.bin").unlink()
    config = BlipConfig.from_pretrained(REPOSITORY)
    BlipForQuestionAnswering(config).save_pretrained(tmp_path)
    assert "its config.json names BlipForQuestionAnswering, and an image-to-text model" in refusal(tmp_path)


def test_code_in_a_repository_is_never_run(tmp_path: Path) -> None:
    make(git, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "code.Config", "AutoModelForImageTextToText": "code.M"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    assert "cannot be loaded as a captioner" in refusal(tmp_path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", ["{", "[]", '{"architectures": 3}', '{"architectures": null}', "{}"])
def test_a_configuration_that_names_no_captioner_is_refused(tmp_path: Path, content: Any) -> None:
    (tmp_path / "config.json").write_text(content)
    assert str(tmp_path) in refusal(tmp_path)
