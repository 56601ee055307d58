from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from samplers.child.calling import Caller
from samplers.child.failures import GeneratorError
from samplers.child.loading import load
from tests.samplers.child.making import assignment, plan, save_stable_diffusion


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_stable_diffusion(tmp_path_factory.mktemp("base") / "base")


def _save_lora(folder: Path, trained: bool = True) -> Path:
    from diffusers import StableDiffusionPipeline
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    from demo.zoo.stable_diffusion import base_unet

    unet = base_unet()
    torch.manual_seed(0)
    unet.add_adapter(LoraConfig(r=4, target_modules=["to_q", "to_k", "to_v"]))
    weights = get_peft_model_state_dict(unet)
    if trained:
        weights = {name: torch.randn_like(tensor) for name, tensor in weights.items()}
    StableDiffusionPipeline.save_lora_weights(folder, unet_lora_layers=weights)
    return folder


def _pictures(folder: Path, base: Path | None = None, kind: str = "checkpoint") -> Any:
    wanted = plan("text-to-image", kind)
    generator = load(assignment(folder, base, task="text-to-image", kind=kind), "cpu")
    return [shot.picture for shot in Caller(generator, wanted, 4)(wanted.tries)]


def test_a_lora_changes_what_its_base_draws(base: Path, tmp_path: Path) -> None:
    adapted = _pictures(_save_lora(tmp_path / "lora"), base, "lora")
    assert not any((a == b).all() for a, b in zip(adapted, _pictures(base), strict=True))


def test_a_lora_without_effect_is_refused(base: Path, tmp_path: Path) -> None:
    folder = _save_lora(tmp_path / "lora", trained=False)
    with pytest.raises(GeneratorError, match="no effect") as caught:
        load(assignment(folder, base, kind="lora"), "cpu")
    assert caught.value.status == "load-failed"


def test_a_lora_for_another_kind_of_base_is_refused(base: Path, tmp_path: Path) -> None:
    (tmp_path / "lora").mkdir()
    name = "transformer.single_transformer_blocks.0.attn.to_q"
    save_file(
        {f"{name}.lora_A.weight": torch.ones(4, 8), f"{name}.lora_B.weight": torch.ones(8, 4)},
        tmp_path / "lora/pytorch_lora_weights.safetensors",
    )
    with pytest.raises(GeneratorError, match="LoRA") as caught:
        load(assignment(tmp_path / "lora", base, kind="lora"), "cpu")
    assert caught.value.status == "load-failed"


def test_a_textual_inversion_teaches_a_word(base: Path, tmp_path: Path) -> None:
    (tmp_path / "inversion").mkdir()
    save_file({"<zoo-style>": torch.randn(32)}, tmp_path / "inversion/learned_embeds.safetensors")
    generator = load(assignment(tmp_path / "inversion", base, kind="textual-inversion"), "cpu")
    assert generator.word == "<zoo-style>"
    assert "<zoo-style>" in generator.pipeline.tokenizer.get_vocab()


def test_a_word_the_base_knows_already_is_refused(base: Path, tmp_path: Path) -> None:
    from transformers import CLIPTokenizer

    known = max(CLIPTokenizer.from_pretrained(base / "tokenizer").get_vocab(), key=len)
    (tmp_path / "inversion").mkdir()
    save_file({known: torch.randn(32)}, tmp_path / "inversion/learned_embeds.safetensors")
    with pytest.raises(GeneratorError) as caught:
        load(assignment(tmp_path / "inversion", base, kind="textual-inversion"), "cpu")
    assert caught.value.status == "load-failed"


@pytest.mark.parametrize("kind", ["lora", "textual-inversion"])
def test_an_adapter_that_is_a_pickle_is_not_opened(base: Path, tmp_path: Path, kind: str) -> None:
    (tmp_path / "adapter").mkdir()
    torch.save({"<zoo-style>": torch.randn(32)}, tmp_path / "adapter/learned_embeds.bin")
    with pytest.raises(GeneratorError, match="no safetensors file"):
        load(assignment(tmp_path / "adapter", base, kind=kind), "cpu")
