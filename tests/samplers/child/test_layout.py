"""The layouts in which repositories hold their components."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from demo.zoo.building import quiet_libraries
from samplers.child.calling import Caller
from samplers.child.failures import GeneratorError
from samplers.child.loading import load
from tests.samplers.child.making import assignment, change_tensors, save_stable_diffusion


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_stable_diffusion(tmp_path_factory.mktemp("saved") / "model")


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return shutil.copytree(saved, tmp_path / "model")


def _edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def _images(folder: Path, task: str = "text-to-image", **changes: Any) -> list[bytes]:
    wanted = assignment(folder, task=task, tries=2, **changes)
    with quiet_libraries():
        return [each.array.tobytes() for each in Caller(load(wanted, "cpu"), wanted.plan, 2)(wanted.plan.samples)]


def _flatten(folder: Path) -> Path:
    """Everything in the root, as google/ddpm-cifar10-32 has it."""
    for path in sorted(folder.glob("*/*")):
        path.rename(folder / path.name)
    for path in folder.iterdir():
        if path.is_dir():
            path.rmdir()
    return folder


def test_a_pipeline_with_all_files_in_the_root_samples_as_from_folders(tmp_path: Path) -> None:
    from demo.zoo.unconditional import ddim

    torch.manual_seed(0)
    ddim().save_pretrained(tmp_path / "folders")
    root = _flatten(shutil.copytree(tmp_path / "folders", tmp_path / "root"))
    assert {path.name for path in root.iterdir()} == {
        "config.json",
        "diffusion_pytorch_model.safetensors",
        "model_index.json",
        "scheduler_config.json",
    }
    assert _images(root, "unconditional") == _images(tmp_path / "folders", "unconditional")


@pytest.mark.parametrize("name", ["config.json", "scheduler_config.json"])
def test_a_component_that_is_nowhere_is_refused(tmp_path: Path, name: str) -> None:
    from demo.zoo.unconditional import ddim

    ddim().save_pretrained(tmp_path / "root")
    (_flatten(tmp_path / "root") / name).unlink()
    with pytest.raises(GeneratorError, match=r"(unet|scheduler) \(.*\) has no files"):
        load(assignment(tmp_path / "root"), "cpu")


def test_a_configuration_in_the_root_is_only_that_of_the_class_it_states(tmp_path: Path) -> None:
    from demo.zoo.unconditional import ddim

    ddim().save_pretrained(tmp_path / "root")
    _edit(_flatten(tmp_path / "root") / "config.json", _class_name="AutoencoderKL")
    with pytest.raises(GeneratorError, match=r"unet \(UNet2DModel\) has no files"):
        load(assignment(tmp_path / "root"), "cpu")


def _shard(folder: Path, stem: str, shards: str, index: str) -> None:
    """Two shards, named by `shards`, of a file of 16 bits, with an index beside them."""
    whole = folder / f"{stem}.safetensors"
    tensors = {name: tensor.half() for name, tensor in load_file(whole).items()}
    whole.unlink()
    names, where = sorted(tensors), {}
    for number, part in enumerate((names[::2], names[1::2]), start=1):
        save_file({name: tensors[name] for name in part}, folder / (shards % number), metadata={"format": "pt"})
        where |= dict.fromkeys(part, shards % number)
    size = sum(tensor.numel() * 2 for tensor in tensors.values())
    (folder / index).write_text(json.dumps({"metadata": {"total_size": size}, "weight_map": where}))


@pytest.mark.parametrize("shards", ["%s.fp16-%%05d-of-00002.safetensors", "%s-%%05d-of-00002.fp16.safetensors"])
def test_shards_of_a_variant_load_in_both_spellings(folder: Path, shards: str) -> None:
    for component, stem in (("unet", "diffusion_pytorch_model"), ("text_encoder", "model")):
        _shard(folder / component, stem, shards % stem, f"{stem}.safetensors.index.fp16.json")
    generator = load(assignment(folder, variant="fp16"), "cpu")
    assert generator.effective.variant == "fp16"


def test_a_declared_variant_that_no_file_has_is_refused(folder: Path) -> None:
    with pytest.raises(GeneratorError, match="variant: the catalogue declares fp16, in effect is None") as caught:
        load(assignment(folder, variant="fp16"), "cpu")
    assert caught.value.status == "load-failed"
    assert load(assignment(folder), "cpu").effective.variant is None


def test_entries_that_the_class_does_not_take_are_ignored(saved: Path, folder: Path) -> None:
    index = folder / "model_index.json"
    _edit(index, controlnet_list=["controlnet", "MultiControlNet"], controlnet=["diffusers", "NoSuchModel"])
    _edit(index, requires_aesthetics_score=False)
    assert _images(folder) == _images(saved)


def test_stable_diffusion_3_without_t5_is_sampled(tmp_path: Path) -> None:
    from demo.zoo.flow_transformers import stable_diffusion_3

    torch.manual_seed(0)
    pipeline = stable_diffusion_3()
    pipeline.text_encoder_3 = pipeline.tokenizer_3 = None
    with quiet_libraries():
        pipeline.save_pretrained(tmp_path / "model")
    index = json.loads((tmp_path / "model/model_index.json").read_text())
    assert index["text_encoder_3"] == index["tokenizer_3"] == [None, None]
    first, second = _images(tmp_path / "model", height=64, width=64)
    assert first != second


def test_a_required_component_that_is_null_is_refused(folder: Path) -> None:
    _edit(folder / "model_index.json", vae=[None, None])
    with pytest.raises(GeneratorError, match="vae"):
        load(assignment(folder), "cpu")


def _layers(folder: Path) -> tuple[Path, int]:
    config = folder / "text_encoder/config.json"
    return config, json.loads(config.read_text())["num_hidden_layers"]


def test_a_text_encoder_with_fewer_layers_than_its_file_skips_the_last_ones(folder: Path, saved: Path) -> None:
    config, count = _layers(folder)
    _edit(config, num_hidden_layers=count - 1)
    generator = load(assignment(folder), "cpu")
    assert len(generator.pipeline.text_encoder.encoder.layers) == count - 1
    assert _images(folder) != _images(saved)


def test_a_text_encoder_that_lacks_layers_or_parts_of_them_is_refused(folder: Path) -> None:
    config, count = _layers(folder)
    _edit(config, num_hidden_layers=count - 1)

    def drop_one(tensors: dict[str, torch.Tensor]) -> None:
        tensors.pop(next(name for name in tensors if re.search(rf"layers\.{count - 1}\.mlp\.fc1\.bias", name)))

    change_tensors(folder / "text_encoder/model.safetensors", drop_one)
    with pytest.raises(GeneratorError, match=r"text_encoder: .* unexpected tensors"):
        load(assignment(folder), "cpu")
    _edit(config, num_hidden_layers=count + 1)
    with pytest.raises(GeneratorError, match=r"text_encoder: .* missing tensors"):
        load(assignment(folder), "cpu")
