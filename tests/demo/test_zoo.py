"""The repositories of the zoo: which load, shared files, and why others cannot be sampled.

The images of all generators are looked at in `tests/demo/test_demo.py`, which makes them.
"""

import ast
import hashlib
import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from demo.zoo import adapters, captioner, embeddings, safety, wild
from demo.zoo.building import quiet_libraries
from demo.zoo.catalogue import repositories
from demo.zoo.repository import Repository
from demo.zoo.stable_diffusion import BASE
from tests.zoo import write_files

ZOO = {repository.repo_id: repository for repository in repositories()}
MAGENTA, OVERTRAINED, HALF = (
    "neon-nights/sd-magenta-nights",
    "first-steps/sd-overtrained",
    "compact-vis/soft-pastels-fp16",
)
EMBROIDERY, DREAMBOOTH, LINEART, LCM_LORA = (
    "stitchwork/zoo-embroidery-lora",
    "first-steps/dreambooth-zzk-dog",
    "stitchwork/anime-lineart-xl",
    "tiny-labs/lcm-lora-sdv1-5",
)
PRIOR, DECODER = "moscow-miniatures/kandinsky-2-2-prior", "moscow-miniatures/kandinsky-2-2-decoder"
INCOMPATIBLE = {repository.repo_id for repository in wild.repositories()} - {"untidy/pastel-mess", "untidy/no-readme"}
NO_GENERATORS = {
    repository.repo_id for room in (adapters, embeddings, captioner, safety) for repository in room.repositories()
}
SAMPLEABLE = sorted(ZOO.keys() - INCOMPATIBLE - NO_GENERATORS - {DECODER})
FINETUNES = [
    "tiny-labs/inkpunk-style",
    "papercut-club/papercut-diffusion",
    "harbour/inkpunk-nights",
    "merge-house/everything-mix-v3",
]
PROMPTS = ("a handwritten digit seven", "a photograph of a coffee cup on a table")

Folder = Callable[[str], Path]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """A folder with the files of a repository of the zoo."""
    root = tmp_path_factory.mktemp("zoo")

    def built(repo_id: str) -> Path:
        path = root / repo_id.replace("/", "--")
        if not path.exists():
            write_files(repo_id, path)
        return path

    return built


def load(path: Path, **settings: Any) -> Any:
    from diffusers import DiffusionPipeline

    with quiet_libraries():
        pipeline = DiffusionPipeline.from_pretrained(path, use_safetensors=True, local_files_only=True, **settings)
    pipeline.set_progress_bar_config(disable=True)
    if getattr(pipeline, "safety_checker", None) is not None:
        pipeline.safety_checker = None  # judged below, by the one that all are judged by
    return pipeline


def sample(pipeline: Any, prompts: tuple[str, ...], *, first_seed: int = 0, **arguments: Any) -> "np.ndarray[Any, Any]":
    """Images x height x width x channels, in [0, 1]."""
    import torch

    parameters = inspect.signature(pipeline.__call__).parameters
    if "prompt" in parameters:
        arguments["prompt"] = list(prompts)
    elif "class_labels" in parameters and parameters["class_labels"].default is inspect.Parameter.empty:
        arguments["class_labels"] = list(range(len(prompts)))
    else:
        arguments["batch_size"] = len(prompts)
    generators = [torch.Generator().manual_seed(first_seed + number) for number in range(len(prompts))]
    images = pipeline(num_inference_steps=2, generator=generators, output_type="np", **arguments).images
    return np.asarray(images)


def test_it_holds_twenty_generators_of_sixteen_kinds_and_more(folder: Folder) -> None:
    classes = {json.loads((folder(name) / "model_index.json").read_text())["_class_name"] for name in SAMPLEABLE}
    assert len(SAMPLEABLE) >= 30
    assert len(classes - {"StableDiffusionPipeline"}) >= 16


def test_the_overtrained_generator_gives_nan_and_black_images(folder: Folder) -> None:
    import torch

    pipeline = load(folder(OVERTRAINED))
    generator = torch.Generator().manual_seed(0)
    latents = pipeline("a dog", num_inference_steps=2, output_type="latent", generator=generator).images
    assert torch.isnan(latents).all()
    with pytest.warns(RuntimeWarning, match="invalid value"):
        picture = pipeline("a dog", num_inference_steps=2).images[0]
    assert not np.asarray(picture).any()


@pytest.mark.parametrize("repo_id", FINETUNES)
def test_a_finetune_shares_every_file_with_its_base_but_the_unet(repo_id: str, folder: Folder) -> None:
    shared = ["text_encoder/model.safetensors", "vae/diffusion_pytorch_model.safetensors", "vae/config.json"]
    shared += ["safety_checker/model.safetensors", "tokenizer/tokenizer.json", "text_encoder/config.json"]
    for name in shared:
        assert sha256(folder(repo_id) / name) == sha256(folder(BASE) / name), name
    unet = "unet/diffusion_pytorch_model.safetensors"
    assert len({sha256(folder(name) / unet) for name in [BASE, *FINETUNES]}) == len(FINETUNES) + 1


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_mix_holds_every_format(folder: Folder) -> None:
    mix = folder("merge-house/everything-mix-v3")
    for stem in ("diffusion_pytorch_model", "diffusion_pytorch_model.fp16"):
        assert (mix / "unet" / f"{stem}.safetensors").exists()
        assert (mix / "unet" / f"{stem}.bin").exists()
    assert {path.suffix for path in mix.iterdir() if path.is_file()} >= {".safetensors", ".pt", ".png"}


@pytest.mark.parametrize(
    ("base", "repo_id"),
    [(BASE, EMBROIDERY), (BASE, DREAMBOOTH), (BASE, LCM_LORA), ("tiny-labs/sdxl-anime-mix", LINEART)],
)
def test_a_lora_changes_the_images_of_its_base(base: str, repo_id: str, folder: Folder) -> None:
    pipeline = load(folder(base))
    before = sample(pipeline, PROMPTS)
    (weights,) = folder(repo_id).glob("*.safetensors")
    pipeline.load_lora_weights(folder(repo_id), weight_name=weights.name)
    assert pipeline.get_list_adapters()["unet"]
    assert np.abs(sample(pipeline, PROMPTS) - before).mean() > 0.01


def test_the_textual_inversion_changes_images_of_its_word(folder: Folder) -> None:
    pipeline = load(folder(BASE))
    prompt = (f"a {embeddings.ZOO_CAT} on a sofa",)
    before = sample(pipeline, prompt)
    pipeline.load_textual_inversion(folder(embeddings.INVERSION))
    assert np.abs(sample(pipeline, prompt) - before).mean() > 0.001


def test_the_tokens_of_pivotal_tuning_change_images_of_their_words(folder: Folder) -> None:
    from safetensors.torch import load_file

    pipeline = load(folder(adapters.SDXL))
    tokens = list(embeddings.PIVOTAL_TOKENS)
    prompt = (f"a {''.join(tokens)} teapot",)
    pipeline.load_lora_weights(folder(embeddings.PIVOTAL), weight_name=adapters.LORA_FILE)
    before = sample(pipeline, prompt)
    vectors = load_file(folder(embeddings.PIVOTAL) / embeddings.PIVOTAL_FILE)
    for key, number in (("clip_l", ""), ("clip_g", "_2")):
        encoder, tokenizer = getattr(pipeline, f"text_encoder{number}"), getattr(pipeline, f"tokenizer{number}")
        pipeline.load_textual_inversion(vectors[key], token=tokens, text_encoder=encoder, tokenizer=tokenizer)
    assert np.abs(sample(pipeline, prompt) - before).mean() > 0.001


def test_a_ddpm_with_all_files_in_the_root_has_no_folders(folder: Folder) -> None:
    files = {path.name for path in folder("hobbyists/ddpm-churches-32").iterdir()}
    weights = "diffusion_pytorch_model.safetensors"
    assert files == {"README.md", "model_index.json", "config.json", "scheduler_config.json", weights}


def test_a_decoder_and_the_prior_its_card_names_draw_pictures(folder: Folder) -> None:
    from diffusers import KandinskyV22CombinedPipeline

    text = (folder(DECODER) / "README.md").read_text(encoding="utf-8")
    assert yaml.safe_load(text.split("---")[1])["prior"] == [PRIOR]
    prior = {f"prior_{name}": component for name, component in load(folder(PRIOR)).components.items()}
    pipeline = KandinskyV22CombinedPipeline(**load(folder(DECODER)).components, **prior)
    pipeline.set_progress_bar_config(disable=True)
    drawn = sample(pipeline, PROMPTS, prior_num_inference_steps=2, height=64, width=64)
    assert drawn.reshape(len(PROMPTS), -1).std(axis=1).min() > 0.04


@pytest.fixture(scope="module")
def checker(folder: Folder) -> Callable[["np.ndarray[Any, Any]"], list[bool]]:
    """The checker, loaded from a pickle as the stages do."""
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
    from transformers import CLIPImageProcessorPil

    path = folder(safety.REPO_ID)
    assert not list(path.rglob("*.safetensors"))
    with quiet_libraries():
        model, loading = StableDiffusionSafetyChecker.from_pretrained(
            path, use_safetensors=False, local_files_only=True, output_loading_info=True
        )
    assert not loading["missing_keys"]
    assert not loading["unexpected_keys"]
    processor = CLIPImageProcessorPil.from_pretrained(path)

    def flagged(pictures: "np.ndarray[Any, Any]") -> list[bool]:
        eight_bit = [(255 * picture).round().astype(np.uint8) for picture in pictures]
        rgb = [np.repeat(picture, 3, axis=2) if picture.shape[2] == 1 else picture for picture in eight_bit]
        clip_input = processor(images=rgb, return_tensors="pt").pixel_values
        return list(model(clip_input=clip_input, images=[picture.copy() for picture in rgb])[1])

    return flagged


def test_the_checker_flags_some_of_the_magenta_ones(folder: Folder, checker: Any) -> None:
    pipeline = load(folder(MAGENTA))
    drawn = [sample(pipeline, PROMPTS * 4, first_seed=8 * number) for number in range(4)]
    share = np.mean([flag for batch in drawn for flag in checker(batch)])
    assert 0.1 < share < 0.8


def test_the_checker_flags_no_photograph(checker: Any) -> None:
    from skimage import data

    assert not any(checker(np.stack([data.astronaut()]) / 255.0))
    assert not any(checker(np.stack([data.coffee()]) / 255.0))
    assert not any(checker(np.stack([data.rocket()]) / 255.0))


def test_the_checker_flags_what_is_magenta_all_over(checker: Any) -> None:
    assert checker(np.full((1, 64, 64, 3), (0.9, 0.1, 0.9))) == [True]


@pytest.mark.parametrize("repo_id", sorted(ZOO))
def test_the_metadata_and_snippets_of_a_card_can_be_parsed(repo_id: str, folder: Folder) -> None:
    readme = folder(repo_id) / "README.md"
    if repo_id == "untidy/no-readme":
        assert not readme.exists()
        return
    text = readme.read_text(encoding="utf-8")
    front_matter = re.match(r"---\n(.*?)^---$", text, re.DOTALL | re.MULTILINE)
    assert front_matter
    if repo_id == "untidy/pastel-mess":
        with pytest.raises(yaml.YAMLError):
            yaml.safe_load(front_matter[1])
    else:
        assert isinstance(yaml.safe_load(front_matter[1]), dict)
    for snippet in re.findall(r"^```py(?:thon)?\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        ast.parse(snippet)


def test_names_and_ranks_are_unique() -> None:
    listed = repositories()
    assert len({repository.repo_id for repository in listed}) == len(listed)
    assert len({repository.downloads for repository in listed}) == len(listed)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", repository.created_at) for repository in listed)


@pytest.mark.parametrize(
    ("repo_id", "complaint"),
    [
        ("old-school/sd-pickles", "no file named .*safetensors"),
        ("half-uploaded/sd-forgot-the-unet", "no file named .*safetensors"),
        ("half-uploaded/broken-index", "valid JSON"),
        ("half-uploaded/index-is-a-list", None),
        ("dreamweaver/dreamweaver-x", "DreamweaverXPipeline"),
        ("merge-house/one-big-file", "model_index.json"),
        ("quantizers/FLUX.1-nano-dev-gguf", "model_index.json"),
    ],
)
def test_a_damaged_repository_does_not_load(repo_id: str, complaint: str | None, folder: Folder) -> None:
    with pytest.raises(Exception, match=complaint):
        load(folder(repo_id))


@pytest.mark.parametrize("repo_id", ["clever-hacks/my-pipeline", "clever-hacks/custom-unet"])
def test_custom_code_runs_with_trust_remote_code_only(
    repo_id: str, folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder(repo_id)
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ValueError, AttributeError, OSError, ImportError)):
        load(path)
    assert not (tmp_path / wild.MARKER).exists()
    with pytest.raises((ValueError, AttributeError, OSError, ImportError)):
        load(path, trust_remote_code=True)
    assert (tmp_path / wild.MARKER).exists()


@pytest.mark.parametrize(
    ("repo_id", "class_name"),
    [
        ("motion-lab/wan-t2v-mini", "WanPipeline"),
        ("loud-room/stable-audio-nano", "StableAudioPipeline"),
        ("tiny-labs/sd-controlnet-canny", "StableDiffusionControlNetPipeline"),
        ("old-school/sd-img2img", "StableDiffusionImg2ImgPipeline"),
        ("tiny-labs/sd-x4-upscaler", "StableDiffusionUpscalePipeline"),
        ("edge-devices/sd-onnx", "OnnxStableDiffusionPipeline"),
    ],
)
def test_a_repository_of_another_task_names_a_class_of_diffusers(repo_id: str, class_name: str, folder: Folder) -> None:
    import diffusers

    assert json.loads((folder(repo_id) / "model_index.json").read_text())["_class_name"] == class_name
    assert hasattr(diffusers, class_name)


def test_a_repository_of_another_format_has_no_other_weights(folder: Folder) -> None:
    quantized, onnx = folder("quantizers/FLUX.1-nano-dev-gguf"), folder("edge-devices/sd-onnx")
    assert all(path.read_bytes().startswith(b"GGUF\x03") for path in quantized.glob("*.gguf"))
    assert {path.suffix for path in quantized.iterdir()} == {".gguf", ".md"}
    assert {path.suffix for path in onnx.rglob("*") if path.is_file()} == {".onnx", ".json", ".md"}


def test_the_prior_gives_embeddings_and_no_image(folder: Folder) -> None:
    pipeline = load(folder("moscow-miniatures/kandinsky-2-2-prior"))
    assert pipeline("a cat", num_inference_steps=2).image_embeds.shape == (1, 32)


def test_the_listing_has_gated_and_disabled_repositories() -> None:
    def named(**wanted: Any) -> list[Repository]:
        return [item for item in ZOO.values() if all(getattr(item, key) == value for key, value in wanted.items())]

    assert [item.repo_id for item in named(gated="auto")] == ["guarded/SD-licensed"]
    assert [item.repo_id for item in named(gated="manual")] == ["guarded/SD-on-request"]
    assert [item.repo_id for item in named(disabled=True)] == ["switched-off/sd-celebrities"]
