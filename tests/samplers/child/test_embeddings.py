"""Embeddings of new tokens: every layout of files, in every text encoder that they are for."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from demo.zoo.adapters import lora_weights, peft_names
from demo.zoo.building import quiet_libraries
from samplers.child.calling import Caller
from samplers.child.failures import GeneratorError
from samplers.child.loading import Generator, load
from tests.samplers.child.making import assignment, save_inversion, save_stable_diffusion
from tests.samplers.hostile import pickled_as

SIZE = 32


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_stable_diffusion(tmp_path_factory.mktemp("base") / "base")


@pytest.fixture(scope="module")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from demo.zoo.latent_unets import sdxl

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("sdxl") / "base"
    sdxl().save_pretrained(folder)
    return folder


def _vectors(count: int, size: int = SIZE) -> torch.Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(count))


def _saved(folder: Path, name: str, content: Any) -> Path:
    folder.mkdir(exist_ok=True)
    if name.endswith(".safetensors"):
        save_file(content, folder / name)
    else:
        torch.save(content, folder / name)
    return folder


def _load(folder: Path, base: Path, kind: str = "textual-inversion", **declared: Any) -> tuple[Generator, list[Any]]:
    """What is loaded, and its images."""
    wanted = assignment(folder, base, task="text-to-image", kind=kind, tries=2, **declared)
    with quiet_libraries():
        generator = load(wanted, "cpu")
        images = Caller(generator, wanted.plan, 2)(wanted.plan.samples)
    return generator, images


def _rows(pipeline: Any, suffix: str, *tokens: str) -> torch.Tensor:
    numbers = getattr(pipeline, f"tokenizer{suffix}").convert_tokens_to_ids(list(tokens))
    return getattr(pipeline, f"text_encoder{suffix}").get_input_embeddings().weight[numbers].detach()


def test_a_textual_inversion_adds_a_token(base: Path, tmp_path: Path) -> None:
    folder = save_inversion(tmp_path / "inversion")
    generator, images = _load(folder, base)
    assert generator.tokens == ("<zoo-style>",)
    assert generator.effective.embedding_tokens == "<zoo-style>"
    assert [image.prompt for image in images] == ["<zoo-style>, a cat", "<zoo-style>, a dog"]
    vector = load_file(folder / "learned_embeds.safetensors")["<zoo-style>"]
    assert torch.equal(_rows(generator.pipeline, "", "<zoo-style>"), vector[None])


def test_a_token_that_the_base_has_already_is_refused(base: Path, tmp_path: Path) -> None:
    from transformers import CLIPTokenizer

    known = max(CLIPTokenizer.from_pretrained(base / "tokenizer").get_vocab(), key=len)
    folder = _saved(tmp_path / "inversion", "learned_embeds.safetensors", {known: torch.randn(SIZE)})
    with pytest.raises(GeneratorError, match="already in tokenizer vocabulary") as caught:
        _load(folder, base)
    assert caught.value.status == "load-failed"


def test_the_token_of_the_catalogue_is_the_one_of_the_prompts(base: Path, tmp_path: Path) -> None:
    folder = _saved(tmp_path / "inversion", "learned_embeds.safetensors", {"<frog>": _vectors(3)})
    generator, images = _load(folder, base, embedding_tokens=("<toad>",))
    assert generator.tokens == ("<toad>",)
    assert [image.prompt for image in images] == ["<toad>, a cat", "<toad>, a dog"]
    # The pipeline replaces a token of several vectors by as many.
    assert torch.equal(_rows(generator.pipeline, "", "<toad>", "<toad>_1", "<toad>_2"), _vectors(3))


@pytest.mark.parametrize(
    ("name", "content", "token"),
    [
        ("MyStyle.safetensors", {"emb_params": _vectors(2)}, "MyStyle"),
        ("MyStyle.pt", {"string_to_param": {"*": _vectors(2)}, "name": "mine", "step": 500}, "mine"),
        ("MyStyle.pt", {"string_to_param": {"*": _vectors(2)}, "string_to_token": {"*": 265}}, "MyStyle"),
        ("MyStyle.pt", _vectors(2), "MyStyle"),
        ("learned_embeds.bin", {"<mine>": torch.nn.Parameter(_vectors(2))}, "<mine>"),
    ],
)
def test_files_of_web_uis_and_pickles_name_their_token(
    base: Path, tmp_path: Path, name: str, content: Any, token: str
) -> None:
    folder = _saved(tmp_path / "inversion", name, content)
    generator, images = _load(folder, base, adapter_file=name, allow_pickle=True)
    assert generator.tokens == (token,)
    assert [image.prompt for image in images] == [f"{token}, a cat", f"{token}, a dog"]
    about: dict[str, Any] = {"kind": "textual-inversion", "adapter_file": name, "allow_pickle": True}
    named = load(assignment(folder, base, **about, embedding_tokens=("given",)), "cpu")
    assert named.tokens == ("given",)
    assert torch.equal(_rows(named.pipeline, "", "given", "given_1"), _vectors(2))


def test_a_pickle_is_opened_only_where_it_is_allowed_and_only_as_weights(base: Path, tmp_path: Path) -> None:
    folder = _saved(tmp_path / "inversion", "learned_embeds.bin", {"<mine>": _vectors(1)})
    declared = {"adapter_file": "learned_embeds.bin"}
    with pytest.raises(GeneratorError, match="--allow-pickle"):
        _load(folder, base, **declared)
    pickled_as("learned_embeds.bin")(folder)
    with pytest.raises(GeneratorError, match=r"learned_embeds\.bin: ") as caught:
        _load(folder, base, **declared, allow_pickle=True)
    assert caught.value.status == "load-failed"


def test_a_negative_embedding_is_in_the_negative_prompt_only(base: Path, tmp_path: Path) -> None:
    folder = _saved(tmp_path / "inversion", "learned_embeds.safetensors", {"<bad-hands>": _vectors(2)})
    _, plain = _load(folder, base, negative_prompt="ugly", trigger_words="a")
    generator, images = _load(folder, base, negative_prompt="ugly, <bad-hands>", trigger_words="<bad-hands>")
    assert generator.effective.embedding_tokens == "<bad-hands>"
    assert [image.prompt for image in images] == ["a cat", "a dog"]
    assert [image.prompt for image in plain] == ["<bad-hands>, a cat", "<bad-hands>, a dog"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"<x>": _vectors(1, 64)}, "has 64 values for a token; text_encoder has 32"),
        ({"<x>": torch.zeros(1, 2, 32)}, "does not have one vector for each token"),
        ({"<x>": torch.zeros(32, dtype=torch.int64)}, "does not have one vector for each token"),
        ({"<x>": _vectors(1), "<y>": _vectors(2)}, "has several tensors, and no text encoder is known: <x>, <y>"),
        ({"clip_l": _vectors(1), "clip_g": _vectors(1)}, "is for text_encoder_2, which a StableDiffusionPipeline"),
        ({"t5": _vectors(1)}, "is for t5, which a StableDiffusionPipeline"),
    ],
)
def test_what_does_not_fit_the_base_is_refused(base: Path, tmp_path: Path, content: Any, words: str) -> None:
    folder = _saved(tmp_path / "inversion", "learned_embeds.safetensors", content)
    with pytest.raises(GeneratorError, match=words) as caught:
        _load(folder, base)
    assert caught.value.status == "load-failed"


def test_more_tokens_than_vectors_are_refused(base: Path, tmp_path: Path) -> None:
    folder = _saved(tmp_path / "inversion", "learned_embeds.safetensors", {"<x>": _vectors(2)})
    with pytest.raises(GeneratorError, match="names 3 tokens; the textual inversion has vectors of 2"):
        _load(folder, base, embedding_tokens=("<a>", "<b>", "<c>"))


def test_both_text_encoders_of_sdxl_get_their_vectors(sdxl: Path, tmp_path: Path) -> None:
    content = {"clip_l": _vectors(2), "clip_g": _vectors(2) + 1}
    folder = _saved(tmp_path / "inversion", "unaesthetic.safetensors", content)
    generator, images = _load(folder, sdxl)
    assert [image.prompt for image in images] == ["unaesthetic, a cat", "unaesthetic, a dog"]
    names = ("unaesthetic", "unaesthetic_1")
    assert torch.equal(_rows(generator.pipeline, "", *names), content["clip_l"])
    assert torch.equal(_rows(generator.pipeline, "_2", *names), content["clip_g"])


def _pivotal(folder: Path, sdxl: Path, keys: tuple[str, str] = ("clip_l", "clip_g")) -> Path:
    """A LoRA, and the embeddings that it was trained with."""
    from diffusers import UNet2DConditionModel

    _saved(folder, "zoo_emb.safetensors", {keys[0]: _vectors(2), keys[1]: _vectors(2) + 1})
    torch.manual_seed(0)
    weights = lora_weights(UNet2DConditionModel.from_pretrained(sdxl / "unet"), peft_names)
    return _saved(folder, "pytorch_lora_weights.safetensors", weights)


def test_pivotal_tuning_adds_its_tokens_to_both_text_encoders(sdxl: Path, tmp_path: Path) -> None:
    about: dict[str, Any] = {"kind": "lora", "adapter_file": "pytorch_lora_weights.safetensors"}
    folder = _pivotal(tmp_path / "lora", sdxl)
    _, without = _load(folder, sdxl, **about)
    about |= {"embedding_file": "zoo_emb.safetensors", "embedding_tokens": ("<s0>", "<s1>")}
    generator, images = _load(folder, sdxl, **about)
    assert torch.equal(_rows(generator.pipeline, "", "<s0>", "<s1>"), _vectors(2))
    assert torch.equal(_rows(generator.pipeline, "_2", "<s0>", "<s1>"), _vectors(2) + 1)
    assert generator.effective.embedding_tokens == "<s0> <s1>"
    assert [image.prompt for image in images] == ["<s0><s1>, a cat", "<s0><s1>, a dog"]
    assert not (images[0].array == without[0].array).all()
    # None of the components that it changed waits for the next generator.
    assert not {handle.identity.name for handle in generator.handles} - {"vae"}
    unnamed, again = _load(folder, sdxl, **{**about, "embedding_tokens": ()})
    assert unnamed.tokens == ("<s0>", "<s1>")
    assert (again[0].array == images[0].array).all()


def test_older_names_of_the_text_encoders_are_the_same(sdxl: Path, tmp_path: Path) -> None:
    folder = _pivotal(tmp_path / "lora", sdxl, ("text_encoders_0", "text_encoders_1"))
    about = {"adapter_file": "pytorch_lora_weights.safetensors", "embedding_file": "zoo_emb.safetensors"}
    generator, _ = _load(folder, sdxl, "lora", **about)
    assert torch.equal(_rows(generator.pipeline, "_2", "<s0>", "<s1>"), _vectors(2) + 1)


def test_trigger_words_with_the_tokens_are_enough(base: Path, tmp_path: Path) -> None:
    wanted = assignment(
        _saved(tmp_path / "inversion", "learned_embeds.safetensors", {"<frog>": _vectors(1)}),
        base,
        task="text-to-image",
        kind="textual-inversion",
        trigger_words="a <frog> drawing",
    )
    samples = tuple(dataclasses.replace(one, prompt=f"a <frog> drawing, {one.prompt}") for one in wanted.plan.samples)
    plan = dataclasses.replace(wanted.plan, samples=samples)
    caller = Caller(load(wanted, "cpu"), plan, 4)
    assert caller(samples)[0].prompt == "a <frog> drawing, a cat"


def test_embeddings_that_are_not_in_effect_are_refused(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffusers import StableDiffusionPipeline

    monkeypatch.setattr(StableDiffusionPipeline, "load_textual_inversion", lambda *_args, **_named: None)
    with pytest.raises(GeneratorError, match="the embeddings of <zoo-style> are not in effect") as caught:
        _load(save_inversion(tmp_path / "inversion"), base)
    assert caught.value.status == "load-failed"
