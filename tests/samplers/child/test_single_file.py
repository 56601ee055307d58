import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from crawler.checkpoint_layout import parts_of
from samplers.child.calling import Caller
from samplers.child.component_cache import ComponentCache
from samplers.child.failures import GeneratorError
from samplers.child.layout import PipelineFolder
from samplers.child.loading import load
from samplers.child.pipelines import Source, common_dtype
from samplers.child.single_file import SingleFile
from tests.samplers.child.families import FAMILIES, made, without_weights
from tests.samplers.child.making import assignment, change_tensors
from tests.samplers.child.original_layouts import LAYOUTS, write
from tests.scale import scaled

SIZE = {"task": "text-to-image", "height": 64, "width": 64, "tries": 2, "guidance_scale": 4.0}


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, Any]:
    """The name of a family, a folder as diffusers saves its pipeline, and the pipeline."""
    folder = tmp_path_factory.mktemp(request.param) / "folder"
    pipeline = made(request.param)
    pipeline.save_pretrained(folder)
    return request.param, folder, pipeline


def images(folder: Path, base: Path | None = None, **changes: Any) -> list[bytes]:
    asked = assignment(folder, base, **(SIZE | changes))
    generator = load(asked, "cpu")
    caller = Caller(generator, asked.plan, 2)
    return [image.array.tobytes() for batch in asked.plan.batches(0) for image in caller(batch)]


def test_a_single_file_makes_the_images_of_the_folder_with_the_same_weights(
    family: tuple[str, Path, Any], tmp_path: Path
) -> None:
    name, folder, pipeline = family
    (tmp_path / "own").mkdir()
    write(pipeline, name, tmp_path / "own" / "checkpoint.safetensors")
    base = without_weights(folder, tmp_path / "base")
    assert images(tmp_path / "own", base, single_file="checkpoint.safetensors") == images(folder)


@pytest.fixture(scope="module")
def flux(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A folder with a whole Flux, and the pipeline."""
    folder = tmp_path_factory.mktemp("flux") / "folder"
    pipeline = made("flux")
    pipeline.save_pretrained(folder)
    return folder, pipeline


def _bare(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix("model.diffusion_model."): tensor for name, tensor in tensors.items()}


@pytest.mark.parametrize("layout", ["with its prefix", "without prefix", "by diffusers' names"])
def test_a_transformer_alone_gets_the_other_components_of_its_base(
    flux: tuple[Path, Any], tmp_path: Path, layout: str
) -> None:
    folder, pipeline = flux
    (tmp_path / "own").mkdir()
    file = write(pipeline, "flux", tmp_path / "own" / "only.safetensors", ("transformer",))
    if layout == "without prefix":
        save_file(_bare(load_file(file)), file)
    elif layout == "by diffusers' names":
        save_file(dict(pipeline.transformer.state_dict()), file)
    base = without_weights(folder, tmp_path / "base", kept=("vae", "text_encoder", "text_encoder_2"))
    assert images(tmp_path / "own", base, single_file="only.safetensors") == images(folder)


def _drop(name: str) -> Callable[[dict[str, torch.Tensor]], object]:
    return lambda tensors: tensors.pop(name)


def _add(name: str, *shape: int) -> Callable[[dict[str, torch.Tensor]], object]:
    return lambda tensors: tensors.update({name: torch.ones(shape)})


@pytest.mark.parametrize(
    ("family", "change", "message"),
    [
        ("sd1", _drop("model.diffusion_model.out.2.bias"), "unet: the file lacks tensors of a UNet2DConditionModel"),
        ("sd1", _drop("first_stage_model.quant_conv.weight"), "vae: the file lacks tensors"),
        ("sd1", _drop("cond_stage_model.transformer.text_model.final_layer_norm.bias"), "text_encoder: 1 missing"),
        ("sd1", _add("model.diffusion_model.input_blocks.1.2.extra.weight", 3), "unet: the file has"),
        ("sd1", _add("first_stage_model.decoder.more.weight", 3), "vae: the file has"),
        ("sd1", _add("cond_stage_model.transformer.text_model.more.weight", 3), "text_encoder: 1 unexpected tensor"),
        ("sd1", _add("model.diffusion_model.out.2.bias", 7), "unet: .*shape"),
        ("sd1", _add("control_model.zero.weight", 3), "1 tensors belong to no component of the pipeline, such as con"),
        ("flux", _drop("model.diffusion_model.txt_in.bias"), "transformer: no tensor 'txt_in.bias'"),
        ("flux", _add("model.diffusion_model.double_blocks.0.img_attn.qkv.scale_weight", 1), "transformer: the file"),
    ],
)
def test_a_tensor_that_is_missing_or_that_nothing_takes_is_refused(
    saved: dict[str, tuple[Path, Path]],
    tmp_path: Path,
    family: str,
    change: Callable[[dict[str, torch.Tensor]], object],
    message: str,
) -> None:
    checkpoint, base = saved[family]
    shutil.copyfile(checkpoint, tmp_path / "checkpoint.safetensors")
    change_tensors(tmp_path / "checkpoint.safetensors", change)
    with pytest.raises(GeneratorError, match=message) as caught:
        load(assignment(tmp_path, base, single_file="checkpoint.safetensors", **SIZE), "cpu")
    assert caught.value.status == "load-failed"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """A checkpoint in one file and the configuration for it, by family."""
    found = {}
    for family in ("sd1", "flux"):
        folder = tmp_path_factory.mktemp(family)
        pipeline = made(family)
        pipeline.save_pretrained(folder / "folder")
        base = without_weights(folder / "folder", folder / "base")
        found[family] = (write(pipeline, family, folder / "checkpoint.safetensors"), base)
    return found


def test_what_training_leaves_in_a_file_does_no_harm(saved: dict[str, tuple[Path, Path]], tmp_path: Path) -> None:
    checkpoint, base = saved["sd1"]
    shutil.copyfile(checkpoint, tmp_path / "checkpoint.safetensors")

    def train(tensors: dict[str, torch.Tensor]) -> None:
        names = [name for name in tensors if name.startswith("model.diffusion_model.")]
        moving = {f"model_ema.{name.replace('.', '')}": torch.ones(1) for name in names}
        tensors |= moving | {"alphas_cumprod": torch.ones(9), "model_ema.decay": torch.ones(1)}

    change_tensors(tmp_path / "checkpoint.safetensors", train)
    before = images(checkpoint.parent, base, single_file="checkpoint.safetensors")
    assert images(tmp_path, base, single_file="checkpoint.safetensors") == before


@pytest.mark.attack
def test_a_configuration_larger_than_the_file_is_refused(saved: dict[str, tuple[Path, Path]], tmp_path: Path) -> None:
    checkpoint, base = saved["sd1"]
    huge = shutil.copytree(base, tmp_path / "base")
    config = huge / "unet" / "config.json"
    config.write_text(config.read_text().replace('"cross_attention_dim": 32', '"cross_attention_dim": 3200000'))
    with pytest.raises(GeneratorError, match="asks for more weights than its files can hold"):
        load(assignment(checkpoint.parent, huge, single_file="checkpoint.safetensors", **SIZE), "cpu")


@pytest.mark.attack
@pytest.mark.parametrize("content", [b"", b"no weights", (2**40).to_bytes(8, "little") + b"{}", b"\x80\x04."])
def test_a_file_that_is_no_safetensors_is_refused(
    saved: dict[str, tuple[Path, Path]], tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "checkpoint.safetensors").write_bytes(content)
    with pytest.raises(GeneratorError, match=r"checkpoint\.safetensors: "):
        load(assignment(tmp_path, saved["sd1"][1], single_file="checkpoint.safetensors", **SIZE), "cpu")


#: A family with each kind of numbers; `make soak` has both with all.
FEWER_BITS = [("sd1", torch.float16), ("flux", torch.bfloat16), ("flux", torch.float8_e4m3fn)]
ALL_FEWER_BITS = [(family, stored) for family in ("sd1", "flux") for _, stored in FEWER_BITS]


@pytest.mark.parametrize(("family", "stored"), scaled(FEWER_BITS, ALL_FEWER_BITS))
def test_weights_of_fewer_bits_are_those_of_the_file_in_float32(
    saved: dict[str, tuple[Path, Path]], tmp_path: Path, family: str, stored: torch.dtype
) -> None:
    checkpoint, base = saved[family]

    def round_(tensors: dict[str, torch.Tensor]) -> None:
        tensors |= {name: one.to(stored) for name, one in tensors.items() if one.is_floating_point()}

    def back(tensors: dict[str, torch.Tensor]) -> None:
        tensors |= {name: one.float() for name, one in tensors.items() if one.is_floating_point()}

    for name, changes in (("few", (round_,)), ("many", (round_, back))):
        (tmp_path / name).mkdir()
        file = shutil.copyfile(checkpoint, tmp_path / name / "x.safetensors")
        for change in changes:
            change_tensors(file, change)
    asked = [assignment(tmp_path / name, base, single_file="x.safetensors", **SIZE) for name in ("few", "many")]
    few, many = (load(one, "cpu").pipeline.components for one in asked)
    for name in ("unet", "transformer", "vae", "text_encoder", "text_encoder_2"):
        if name in few:
            ours, theirs = few[name].state_dict(), many[name].state_dict()
            assert {tensor.dtype for tensor in ours.values() if tensor.is_floating_point()} == {torch.float32}
            assert all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (torch.float32, torch.float16),
        (torch.float16, torch.float16),
        (torch.bfloat16, torch.bfloat16),
        (torch.float8_e4m3fn, torch.bfloat16),
    ],
)
def test_on_a_gpu_the_dtype_is_that_of_the_denoiser(
    saved: dict[str, tuple[Path, Path]], tmp_path: Path, stored: torch.dtype, expected: torch.dtype
) -> None:
    checkpoint, base = saved["sd1"]
    shutil.copyfile(checkpoint, tmp_path / "x.safetensors")

    def round_(tensors: dict[str, torch.Tensor]) -> None:
        tensors |= {name: one.to(stored) for name, one in tensors.items() if "diffusion_model" in name}

    change_tensors(tmp_path / "x.safetensors", round_)
    single = SingleFile.read(
        tmp_path / "x.safetensors",
        {"unet": "UNet2DConditionModel", "vae": "AutoencoderKL", "text_encoder": "CLIPTextModel"},
        None,
    )
    source = Source(PipelineFolder.read(base), {}, None, False, single)
    assert common_dtype([source], "cuda") is expected


def test_two_checkpoints_with_one_base_share_none_of_their_own_components(
    saved: dict[str, tuple[Path, Path]], tmp_path: Path
) -> None:
    checkpoint, base = saved["sd1"]
    shutil.copyfile(checkpoint, tmp_path / "other.safetensors")
    change_tensors(
        tmp_path / "other.safetensors", lambda tensors: tensors["model.diffusion_model.out.2.bias"].fill_(9.0)
    )
    cache = ComponentCache()
    first = load(assignment(checkpoint.parent, base, single_file=checkpoint.name, key="a" * 64, **SIZE), "cpu", cache)
    cache.put_back(first.handles)
    other = load(assignment(tmp_path, base, single_file="other.safetensors", key="b" * 64, **SIZE), "cpu", cache)
    assert other.pipeline.unet.conv_out.bias.eq(9).all()
    assert other.pipeline.tokenizer is first.pipeline.tokenizer


def test_a_checkpoint_that_was_loaded_before_is_reused(saved: dict[str, tuple[Path, Path]]) -> None:
    checkpoint, base = saved["sd1"]
    cache = ComponentCache()
    asked = assignment(checkpoint.parent, base, single_file=checkpoint.name, key="a" * 64, **SIZE)
    first = load(asked, "cpu", cache)
    cache.put_back(first.handles)
    assert load(asked, "cpu", cache).pipeline.unet is first.pipeline.unet


@pytest.mark.parametrize("family", FAMILIES)
def test_each_tensor_of_a_checkpoint_belongs_to_the_component_that_it_was_written_from(family: str) -> None:
    pipeline = made(family)
    written = {part: set(convert(getattr(pipeline, part))) for part, convert in LAYOUTS[family].items()}
    classes = {name: type(part).__name__ for name, part in pipeline.components.items()}
    parts = parts_of((name for names in written.values() for name in names), classes)
    scales = {name for names in written.values() for name in names if name.endswith("logit_scale")}
    assert {part: set(names) for part, names in parts.names.items()} == {
        part: names - scales for part, names in written.items()
    }
    assert not parts.others
