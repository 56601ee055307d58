from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from demo.zoo.building import quiet_libraries
from demo.zoo.repository import seeded
from samplers.child.adapters import require_effect
from samplers.child.calling import Caller
from samplers.child.clock import Clock
from samplers.child.component_cache import ComponentCache
from samplers.child.effective import lora_scales
from samplers.child.failures import GeneratorError
from samplers.child.loading import load
from samplers.child.sampling import Sampling
from tests.samplers.child.making import Received, assignment, checker, plan, save_lora, save_stable_diffusion
from tests.samplers.hostile import pickled_as
from tests.scale import scaled


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_stable_diffusion(tmp_path_factory.mktemp("base") / "base")


def _images(folder: Path, base: Path | None = None, kind: str = "checkpoint", **declared: Any) -> Any:
    wanted = plan("text-to-image", kind, **declared)
    generator = load(assignment(folder, base, task="text-to-image", kind=kind, **declared), "cpu")
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
    sampling = Sampling(wanted, checker(tmp_path / "checker"), "cpu", Clock(), received := Received(), ComponentCache())
    with pytest.raises(GeneratorError, match="does not change the images of its base model") as caught:
        sampling.run()
    assert caught.value.status == "load-failed"
    assert received.rows == []


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
    with pytest.raises(GeneratorError, match="the LoRA has no effect on its base model") as caught:
        load(assignment(tmp_path / "lora", base, kind="lora"), "cpu")
    assert caught.value.status == "load-failed"


@pytest.mark.parametrize("scale", scaled([None, 0.125], [None, 0.125, 1.0, 2.0]))
def test_the_scale_of_a_lora_is_that_of_the_catalogue(base: Path, tmp_path: Path, scale: float | None) -> None:
    generator = load(assignment(save_lora(tmp_path / "lora"), base, kind="lora", adapter_scale=scale), "cpu")
    assert generator.effective.adapter_scale == (scale or 1.0)
    assert set(lora_scales(generator.pipeline)) == {scale or 1.0}


@pytest.mark.parametrize("family", ["flux", "stable_diffusion_3"])
def test_the_scale_of_a_transformers_lora_is_that_of_the_catalogue(tmp_path: Path, family: str) -> None:
    from demo.zoo import flow_transformers

    with quiet_libraries(), seeded(family):
        pipeline = getattr(flow_transformers, family)()
        pipeline.save_pretrained(tmp_path / "base")
        layers = [item for item in pipeline.transformer.named_modules() if item[0].endswith(("attn.to_q", "attn.to_v"))]
        weights = {f"transformer.{name}.lora_A.weight": torch.randn(4, layer.in_features) for name, layer in layers}
        weights |= {f"transformer.{name}.lora_B.weight": torch.randn(layer.out_features, 4) for name, layer in layers}
    (tmp_path / "lora").mkdir()
    save_file(weights, tmp_path / "lora/pytorch_lora_weights.safetensors")
    with quiet_libraries():
        generator = load(assignment(tmp_path / "lora", tmp_path / "base", kind="lora", adapter_scale=0.125), "cpu")
    scales = list(lora_scales(generator.pipeline))
    assert len(scales) == len(layers)
    assert set(scales) == {0.125}
    assert generator.effective.prediction_type == "flow"


def test_the_scale_of_a_lora_changes_the_images(base: Path, tmp_path: Path) -> None:
    from diffusers import StableDiffusionPipeline

    folder = save_lora(tmp_path / "lora")
    images = [_images(folder, base, "lora", adapter_scale=scale)[0].tobytes() for scale in (0.25, 0.5, 1.0)]
    assert len(set(images)) == 3

    # As with each call, the way of older cards.
    class Scaled(StableDiffusionPipeline):  # type: ignore[misc]
        def __call__(self, prompt: Any, generator: Any, num_inference_steps: int, output_type: str) -> Any:
            about = {"num_inference_steps": num_inference_steps, "output_type": output_type, "generator": generator}
            return super().__call__(prompt, cross_attention_kwargs={"scale": 0.25}, **about)

    wanted = plan("text-to-image", "lora")
    generator = load(assignment(folder, base, task="text-to-image", kind="lora"), "cpu")
    generator.pipeline.__class__ = Scaled
    assert Caller(generator, wanted, 4)(wanted.samples)[0].array == pytest.approx(
        np.frombuffer(images[0], np.float32).reshape(64, 64, 3), abs=1e-4
    )


def test_a_lora_of_another_scale_than_declared_is_refused(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from peft.tuners.lora import LoraLayer

    monkeypatch.setattr(LoraLayer, "set_scale", lambda *_: None)
    with pytest.raises(
        GeneratorError, match=r"adapter_scale: the catalogue declares 0\.5, in effect is 1\.0"
    ) as caught:
        load(assignment(save_lora(tmp_path / "lora"), base, kind="lora", adapter_scale=0.5), "cpu")
    assert caught.value.status == "load-failed"


def test_the_file_of_the_catalogue_is_loaded(base: Path, tmp_path: Path) -> None:
    folder = save_lora(tmp_path / "lora")
    alone = _images(folder, base, "lora")
    (folder / "styles").mkdir()
    (folder / "pytorch_lora_weights.safetensors").rename(folder / "styles/second.safetensors")
    other = save_lora(tmp_path / "other", change=lambda tensor: 2 * torch.randn_like(tensor))
    (other / "pytorch_lora_weights.safetensors").rename(folder / "first.safetensors")
    chosen = _images(folder, base, "lora", adapter_file="styles/second.safetensors")
    assert all((a == b).all() for a, b in zip(chosen, alone, strict=True))
    assert not (_images(folder, base, "lora", adapter_file="first.safetensors")[0] == alone[0]).all()
    with pytest.raises(GeneratorError, match=r"does not say which file is the adapter: first\.safetensors, styles"):
        _images(folder, base, "lora")
    with pytest.raises(GeneratorError, match=r"the adapter has no file third\.safetensors"):
        _images(folder, base, "lora", adapter_file="third.safetensors")


def test_a_pickled_lora_is_loaded_as_weights_only_where_pickles_are_allowed(base: Path, tmp_path: Path) -> None:
    folder = save_lora(tmp_path / "lora")
    expected = _images(folder, base, "lora")
    file = folder / "pytorch_lora_weights.safetensors"
    torch.save(load_file(file), folder / "pytorch_lora_weights.bin")
    file.unlink()
    pickled = {"adapter_file": "pytorch_lora_weights.bin", "allow_pickle": True}
    assert all((a == b).all() for a, b in zip(_images(folder, base, "lora", **pickled), expected, strict=True))
    with pytest.raises(GeneratorError, match="--allow-pickle"):
        _images(folder, base, "lora", adapter_file="pytorch_lora_weights.bin")
    pickled_as("pytorch_lora_weights.bin")(folder)
    with pytest.raises(GeneratorError, match="does not fit") as caught:
        _images(folder, base, "lora", **pickled)
    assert caught.value.status == "load-failed"


@pytest.mark.parametrize("kind", ["lora", "textual-inversion"])
def test_an_adapter_that_is_a_pickle_is_not_opened(base: Path, tmp_path: Path, kind: str) -> None:
    (tmp_path / "adapter").mkdir()
    torch.save({"<zoo-style>": torch.randn(32)}, tmp_path / "adapter/learned_embeds.bin")
    with pytest.raises(GeneratorError, match="no safetensors file"):
        load(assignment(tmp_path / "adapter", base, kind=kind), "cpu")
