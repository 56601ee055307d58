from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from samplers.child.adapters import require_effect
from samplers.child.calling import Caller
from samplers.child.clock import Clock
from samplers.child.component_cache import ComponentCache
from samplers.child.failures import GeneratorError
from samplers.child.loading import load
from samplers.child.sampling import Sampling
from tests.samplers.child.making import assignment, checker, plan, save_inversion, save_lora, save_stable_diffusion


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_stable_diffusion(tmp_path_factory.mktemp("base") / "base")


def _images(folder: Path, base: Path | None = None, kind: str = "checkpoint") -> Any:
    wanted = plan("text-to-image", kind)
    generator = load(assignment(folder, base, task="text-to-image", kind=kind), "cpu")
    return [image.array for image in Caller(generator, wanted, 4)(wanted.samples)]


def test_a_lora_changes_the_images_of_its_base(base: Path, tmp_path: Path) -> None:
    adapted = _images(save_lora(tmp_path / "lora"), base, "lora")
    assert not any((a == b).all() for a, b in zip(adapted, _images(base), strict=True))


def test_a_lora_without_effect_is_refused(base: Path, tmp_path: Path) -> None:
    folder = save_lora(tmp_path / "lora", trained=False)
    with pytest.raises(GeneratorError, match="no effect") as caught:
        load(assignment(folder, base, kind="lora"), "cpu")
    assert caught.value.status == "load-failed"


def _cancelled(tensor: torch.Tensor) -> torch.Tensor:
    """B is other than zero and A is not, so the update B x A is nothing: A has rank rows, B rank columns."""
    return torch.zeros_like(tensor) if tensor.shape[0] == 4 else torch.randn_like(tensor)


def test_a_lora_that_changes_no_image_is_refused_although_its_weights_are_not_zero(base: Path, tmp_path: Path) -> None:
    folder = save_lora(tmp_path / "lora", change=_cancelled)
    wanted = assignment(folder, base, kind="lora", task="text-to-image")
    sampling = Sampling(wanted, checker(tmp_path / "checker"), "cpu", Clock(), lambda *_: None, ComponentCache())
    with pytest.raises(GeneratorError, match="does not change the images of its base model") as caught:
        sampling.run()
    assert caught.value.status == "load-failed"
    assert not wanted.workspace.exists()


def test_testing_the_effect_changes_no_pixel(base: Path, tmp_path: Path) -> None:
    wanted = plan("text-to-image", "lora")
    folder = save_lora(tmp_path / "lora")
    generator = load(assignment(folder, base, task="text-to-image", kind="lora"), "cpu")
    call = Caller(generator, wanted, 4)
    require_effect(generator.pipeline, lambda: call(wanted.samples[:1])[0].array.tobytes())
    proven = [image.array for image in call(wanted.samples)]
    assert all((a == b).all() for a, b in zip(proven, _images(folder, base, "lora"), strict=True))


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


def test_a_textual_inversion_adds_a_token(base: Path, tmp_path: Path) -> None:
    generator = load(assignment(save_inversion(tmp_path / "inversion"), base, kind="textual-inversion"), "cpu")
    assert generator.tokens == ("<zoo-style>",)
    assert "<zoo-style>" in generator.pipeline.tokenizer.get_vocab()


def test_a_token_that_the_base_has_already_is_refused(base: Path, tmp_path: Path) -> None:
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
