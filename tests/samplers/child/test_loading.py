import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from samplers.child.calling import Caller
from samplers.child.failures import GeneratorError
from samplers.child.loading import load
from tests.samplers.child.making import assignment, change_tensors, plan, save_stable_diffusion
from tests.samplers.coverage.latent_unets import vq_diffusion


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_stable_diffusion(tmp_path_factory.mktemp("saved") / "model")


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy of a whole Stable Diffusion, to be damaged."""
    return shutil.copytree(saved, tmp_path / "model")


def _edit_index(folder: Path, **changes: Any) -> None:
    path = folder / "model_index.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def _drop(name: str) -> Callable[[dict[str, torch.Tensor]], object]:
    return lambda tensors: tensors.pop(name)


def test_a_complete_pipeline_loads_without_its_own_safety_checker(folder: Path) -> None:
    shutil.rmtree(folder / "safety_checker")
    generator = load(assignment(folder), "cpu")
    assert type(generator.pipeline).__name__ == "StableDiffusionPipeline"
    assert generator.pipeline.safety_checker is None
    assert generator.effective.dtype == "float32"
    assert {parameter.dtype for parameter in generator.pipeline.unet.parameters()} == {torch.float32}


def test_half_precision_files_become_float32_on_a_cpu(tmp_path: Path) -> None:
    from demo.zoo.stable_diffusion import base_unet, pipeline

    pipeline(base_unet()).to(torch.float16).save_pretrained(tmp_path / "model", variant="fp16")
    generator = load(assignment(tmp_path / "model", variant="fp16"), "cpu")
    assert {parameter.dtype for parameter in generator.pipeline.text_encoder.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("path", "tensor"),
    [
        ("unet/diffusion_pytorch_model.safetensors", "conv_in.weight"),
        ("vae/diffusion_pytorch_model.safetensors", "decoder.conv_out.bias"),
        ("text_encoder/model.safetensors", "embeddings.token_embedding.weight"),
    ],
)
def test_a_missing_tensor_is_refused(folder: Path, path: str, tensor: str) -> None:
    names: list[str] = []
    change_tensors(folder / path, lambda tensors: names.extend(name for name in tensors if name.endswith(tensor)))
    change_tensors(folder / path, _drop(names[0]))
    with pytest.raises(GeneratorError, match=r"1 missing tensor,") as caught:
        load(assignment(folder), "cpu")
    assert caught.value.status == "load-failed"


def test_a_tensor_of_another_shape_is_refused(folder: Path) -> None:
    def cut(tensors: dict[str, torch.Tensor]) -> None:
        tensors["conv_in.weight"] = tensors["conv_in.weight"][:3].clone()

    change_tensors(folder / "unet/diffusion_pytorch_model.safetensors", cut)
    with pytest.raises(GeneratorError, match="unet") as caught:
        load(assignment(folder), "cpu")
    assert caught.value.status == "load-failed"


@pytest.mark.parametrize(
    ("path", "tensor"),
    [
        ("unet/diffusion_pytorch_model.safetensors", "mid_block.attentions.7.proj_in.weight"),
        ("vae/diffusion_pytorch_model.safetensors", "ema.decoder.conv_in.weight"),
        ("text_encoder/model.safetensors", "text_model.encoder.layers.23.layer_norm1.weight"),
        ("unet/diffusion_pytorch_model.safetensors", "lm_head.weight"),
    ],
)
def test_a_tensor_that_no_layer_knows_is_refused(folder: Path, path: str, tensor: str) -> None:
    change_tensors(folder / path, lambda tensors: tensors.update({tensor: torch.ones(2)}))
    with pytest.raises(GeneratorError, match=f"1 unexpected tensor, such as .*{tensor.split('.')[-2]}") as caught:
        load(assignment(folder), "cpu")
    assert caught.value.status == "load-failed"


@pytest.mark.parametrize(
    "tensor",
    [
        "text_model.embeddings.position_ids",
        "vision_model.post_layernorm.weight",
        "text_projection.weight",
        "logit_scale",
        "lm_head.weight",
    ],
)
def test_unused_tensors_of_text_encoders_are_accepted(folder: Path, tensor: str) -> None:
    change_tensors(folder / "text_encoder/model.safetensors", lambda tensors: tensors.update({tensor: torch.arange(2)}))
    load(assignment(folder), "cpu")


@pytest.mark.parametrize("name", ["unet", "text_encoder", "tokenizer", "scheduler", "vae"])
def test_a_missing_component_is_refused(folder: Path, name: str) -> None:
    shutil.rmtree(folder / name)
    with pytest.raises(GeneratorError, match=rf"^{name} \(.*\) has no"):
        load(assignment(folder), "cpu")


def test_a_tokenizer_without_vocabulary_is_refused(folder: Path) -> None:
    for path in (folder / "tokenizer").iterdir():
        if path.name not in ("tokenizer_config.json", "special_tokens_map.json"):
            path.unlink()
    with pytest.raises(GeneratorError, match="has no vocabulary"):
        load(assignment(folder), "cpu")


@pytest.mark.parametrize("place", ["pipeline.py", "unet/modeling.py"])
def test_code_in_a_repository_is_refused_and_does_not_run(folder: Path, place: str) -> None:
    ran = folder / "ran"
    (folder / place).write_text(f"open({str(ran)!r}, 'w')")
    with pytest.raises(GeneratorError, match="has code of its own"):
        load(assignment(folder), "cpu")
    assert not ran.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"_class_name": ["pipeline", "MyPipeline"]},
        {"_class_name": "MyPipeline"},
        {"_class_name": "UNet2DModel"},
        {"_class_name": "__class__"},
        {"_class_name": None},
        {"unet": ["my_module", "MyUNet"]},
        {"unet": ["os", "system"]},
        {"unet": ["diffusers", "NoSuchModel"]},
        {"unet": ["transformers.utils", "logging"]},
        {"unet": ["../unet", "MyUNet"]},
    ],
)
def test_only_classes_of_the_libraries_are_loaded(folder: Path, changes: dict[str, Any]) -> None:
    _edit_index(folder, **changes)
    with pytest.raises(GeneratorError) as caught:
        load(assignment(folder), "cpu")
    assert caught.value.status == "load-failed"


def test_pickles_are_not_opened(folder: Path) -> None:
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    torch.save({}, weights.with_suffix(".bin"))
    weights.unlink()
    with pytest.raises(GeneratorError, match=r"unet: .*safetensors"):
        load(assignment(folder), "cpu")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\x00"])
def test_a_broken_index_is_refused(folder: Path, text: str) -> None:
    (folder / "model_index.json").write_text(text)
    with pytest.raises(GeneratorError, match=r"model_index\.json"):
        load(assignment(folder), "cpu")


def test_a_deprecated_pipeline_loads_and_is_called_for_each_image(tmp_path: Path) -> None:
    vq_diffusion().save_pretrained(tmp_path / "model")
    # As the repositories of its time have it.
    name = "LearnedClassifierFreeSamplingEmbeddings"
    _edit_index(tmp_path / "model", learned_classifier_free_sampling_embeddings=["vq_diffusion", name])
    wanted = plan("text-to-image", tries=2)
    generator = load(assignment(tmp_path / "model", task="text-to-image"), "cpu")
    images = Caller(generator, wanted, 2)(wanted.samples)
    assert [image.call_size for image in images] == [1, 1]
    assert not (images[0].array == images[1].array).all()
