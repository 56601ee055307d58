"""Repositories that cannot be sampled, each for another reason, and two that only look so.

They have weights only where a test needs them.
"""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from demo.zoo.cards import card, snippet
from demo.zoo.repository import Repository, generator, seeded
from demo.zoo.stable_diffusion import BASE, style

MARKER = "remote-code-was-run.txt"
"""The file that the zoo's custom code writes to the working directory when it is run."""


def repositories() -> list[Repository]:
    """All repositories of this module."""
    return [*_refused(), *_unsafe(), *_damaged(), *_another_task(), *_another_format(), *_untidy()]


def _refused() -> list[Repository]:
    gated, manual, disabled = "guarded/SD-licensed", "guarded/SD-on-request", "switched-off/sd-celebrities"
    terms: dict[str, object] = {"license": "creativeml-openrail-m", "base_model": BASE}
    asks = terms | {"extra_gated_prompt": "You agree not to.", "extra_gated_fields": {"Country": "country"}}
    return [
        generator(gated, style(gated), card(asks, "# Licensed"), downloads=402_117, likes=1_800, gated="auto"),
        generator(manual, style(manual), card(asks, "# On request"), downloads=1_950, likes=40, gated="manual"),
        generator(disabled, style(disabled), card(terms, "# -"), downloads=9_999, likes=55, disabled=True),
    ]


def _unsafe() -> list[Repository]:
    pickled = "old-school/sd-pickles"
    code = _payload("my_pipeline")
    return [
        generator(
            pickled,
            style(pickled),
            card({"license": "creativeml-openrail-m", "tags": ["stable-diffusion"], "base_model": BASE}, "# Pickles"),
            save=_save_pickled,
            downloads=6_480,
            likes=51,
            created_at="2022-10-20T20:00:00.000Z",
        ),
        _files(
            "clever-hacks/my-pipeline",
            {
                "model_index.json": _index(["my_pipeline", "MyPipeline"], unet=("diffusers", "UNet2DConditionModel")),
                "my_pipeline.py": code,
                "README.md": card(
                    {"license": "apache-2.0", "library_name": "diffusers"},
                    "# My pipeline",
                    snippet("clever-hacks/my-pipeline", "a cat", trust_remote_code=True),
                ),
            },
            downloads=3_870,
            likes=29,
        ),
        _files(
            "clever-hacks/custom-unet",
            {
                "model_index.json": _index("DDPMPipeline", unet=("custom_unet", "CustomUNet")),
                "unet/custom_unet.py": _payload("custom_unet"),
                "unet/config.json": b"{}\n",
                "README.md": card({"license": "mit", "library_name": "diffusers"}, "# A UNet of my own"),
            },
            downloads=215,
        ),
    ]


def _damaged() -> list[Repository]:
    incomplete = "half-uploaded/sd-forgot-the-unet"
    plain = {"license": "mit", "library_name": "diffusers"}
    return [
        generator(
            incomplete,
            style(incomplete),
            card(plain | {"base_model": BASE}, "# WIP, uploading the rest tomorrow"),
            save=_save_without_unet,
            downloads=133,
            created_at="2023-03-03T03:03:03.000Z",
        ),
        _files(
            "half-uploaded/broken-index",
            {
                "model_index.json": _index("StableDiffusionPipeline", unet=("diffusers", "UNet2DConditionModel"))[:60],
                "README.md": card(plain, "# sd"),
            },
            downloads=58,
        ),
        _files(
            "half-uploaded/index-is-a-list",
            {
                "model_index.json": json.dumps(["StableDiffusionPipeline", "0.14.0"]).encode(),
                "README.md": card(plain, "# converted"),
            },
            downloads=36,
        ),
        _files(
            "dreamweaver/dreamweaver-x",
            {
                "model_index.json": _index(
                    "DreamweaverXPipeline", transformer=("diffusers", "DreamweaverXTransformer2DModel")
                ),
                "README.md": card({"license": "apache-2.0", "pipeline_tag": "text-to-image"}, "# Dreamweaver X"),
            },
            downloads=27_300,
            likes=300,
            created_at="2026-01-05T00:00:00.000Z",
        ),
    ]


def _another_task() -> list[Repository]:
    sd = {"unet": ("diffusers", "UNet2DConditionModel"), "vae": ("diffusers", "AutoencoderKL")}
    prior = "moscow-miniatures/kandinsky-2-2-prior"
    return [
        _index_only(
            "motion-lab/wan-t2v-mini",
            _index(
                "WanPipeline",
                transformer=("diffusers", "WanTransformer3DModel"),
                vae=("diffusers", "AutoencoderKLWan"),
                scheduler=("diffusers", "FlowMatchEulerDiscreteScheduler"),
            ),
            {"license": "apache-2.0", "pipeline_tag": "text-to-video", "library_name": "diffusers"},
            downloads=82_100,
            likes=410,
            created_at="2025-02-25T00:00:00.000Z",
        ),
        _index_only(
            "loud-room/stable-audio-nano",
            _index(
                "StableAudioPipeline",
                transformer=("diffusers", "StableAudioDiTModel"),
                vae=("diffusers", "AutoencoderOobleck"),
            ),
            {"license": "other", "license_name": "stable-audio-community", "pipeline_tag": "text-to-audio"},
            downloads=11_700,
            likes=92,
        ),
        _index_only(
            "tiny-labs/sd-controlnet-canny",
            _index("StableDiffusionControlNetPipeline", controlnet=("diffusers", "ControlNetModel"), **sd),
            {"license": "openrail", "base_model": BASE, "tags": ["controlnet", "image-to-image"]},
            downloads=61_234,
            likes=178,
        ),
        _index_only(
            "old-school/sd-img2img",
            _index("StableDiffusionImg2ImgPipeline", **sd),
            {"license": "creativeml-openrail-m", "pipeline_tag": "image-to-image"},
            downloads=1_020,
        ),
        _index_only(
            "tiny-labs/sd-x4-upscaler",
            _index("StableDiffusionUpscalePipeline", low_res_scheduler=("diffusers", "DDPMScheduler"), **sd),
            {"license": "openrail++", "tags": ["stable-diffusion", "upscaler"]},
            downloads=70_450,
            likes=260,
        ),
        generator(
            prior,
            _kandinsky_prior,
            card({"license": "apache-2.0", "tags": ["text-to-image", "kandinsky"]}, "# Kandinsky 2.2, the prior alone"),
            downloads=20_115,
            likes=44,
        ),
    ]


def _another_format() -> list[Repository]:
    flux = "blackwood/FLUX.1-nano-dev"
    return [
        _files(
            "quantizers/FLUX.1-nano-dev-gguf",
            {
                "flux1-nano-dev-Q4_K_S.gguf": _gguf("flux"),
                "flux1-nano-dev-Q8_0.gguf": _gguf("flux"),
                "README.md": card(
                    {
                        "base_model": flux,
                        "base_model_relation": "quantized",
                        "library_name": "diffusers",
                        "tags": ["gguf", "text-to-image"],
                        "license": "other",
                    },
                    "# Quantized",
                    "For use with other programs.",
                ),
            },
            downloads=54_800,
            likes=380,
        ),
        _files(
            "edge-devices/sd-onnx",
            {
                "model_index.json": _index(
                    "OnnxStableDiffusionPipeline",
                    unet=("diffusers", "OnnxRuntimeModel"),
                    vae_decoder=("diffusers", "OnnxRuntimeModel"),
                    text_encoder=("diffusers", "OnnxRuntimeModel"),
                ),
                **{f"{part}/model.onnx": _onnx() for part in ("unet", "vae_decoder", "text_encoder")},
                "README.md": card({"license": "creativeml-openrail-m", "base_model": BASE}, "# ONNX export"),
            },
            downloads=2_940,
            likes=13,
        ),
        _files(
            "old-school/sd-flax",
            {
                "model_index.json": _index(
                    "FlaxStableDiffusionPipeline", unet=("diffusers", "FlaxUNet2DConditionModel")
                ),
                "unet/diffusion_flax_model.msgpack": b"\x80",
                "README.md": card({"license": "creativeml-openrail-m", "tags": ["stable-diffusion"]}, "# Flax weights"),
            },
            downloads=470,
        ),
        Repository("merge-house/one-big-file", _build_single_file, downloads=73_905, likes=610),
    ]


def _untidy() -> list[Repository]:
    """Repositories that can be sampled."""
    invalid, silent = "untidy/pastel-mess", "untidy/no-readme"
    return [
        generator(
            invalid,
            style(invalid),
            "---\nlicense: mit\ntags: [stable-diffusion, art\nbase_model: "
            + BASE
            + "\n  widget: - text\n---\n\n# Pastel mess\n\n"
            + snippet(invalid, "a messy desk", num_inference_steps=4),
            downloads=840,
            likes=6,
        ),
        generator(silent, style(silent), None, downloads=205),
    ]


def _files(repo_id: str, contents: Mapping[str, bytes | str], **listed: Any) -> Repository:
    """A repository of these files."""

    def build(folder: Path) -> None:
        for name, content in contents.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    return Repository(repo_id, build, **listed)


def _index_only(repo_id: str, index: bytes, front_matter: Mapping[str, object], **listed: Any) -> Repository:
    title = f"# {repo_id.partition('/')[2]}"
    return _files(repo_id, {"model_index.json": index, "README.md": card(front_matter, title)}, **listed)


def _index(class_name: str | list[str], **components: tuple[str, str]) -> bytes:
    """A model_index.json."""
    content = {"_class_name": class_name, "_diffusers_version": "0.31.0"} | components
    return json.dumps(content, indent=2).encode() + b"\n"


def _payload(module: str) -> str:
    """Python that leaves a file when it is run."""
    return (
        f'"""{module}: runs with trust_remote_code only."""\n\n'
        f'from pathlib import Path\n\nPath("{MARKER}").write_text("{module}")\n'
    )


def _gguf(architecture: str) -> bytes:
    """A GGUF file, version 3, without tensors and with one entry of metadata."""

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    string = 8  # the type of a value
    entry = text("general.architecture") + struct.pack("<I", string) + text(architecture)
    return b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + entry


def _onnx() -> bytes:
    """An ONNX model without nodes: `ir_version` 8 and `producer_name`, fields 1 and 2 of ModelProto."""
    producer = b"pytorch"
    return bytes([0x08, 8, 0x12, len(producer)]) + producer


def _save_pickled(made: Any, folder: Path) -> None:
    """Write all weights as pickles, as in uploads of 2022."""
    import torch
    from safetensors.torch import load_file

    made.save_pretrained(folder)
    for path in folder.rglob("*.safetensors"):
        name = "pytorch_model.bin" if path.name == "model.safetensors" else f"{path.stem}.bin"
        torch.save(load_file(path), path.with_name(name))
        path.unlink()


def _save_without_unet(made: Any, folder: Path) -> None:
    made.save_pretrained(folder)
    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()


def _kandinsky_prior() -> Any:
    from diffusers import KandinskyV22PriorPipeline

    from demo.zoo.latent_unets import kandinsky_2_prior

    return KandinskyV22PriorPipeline(**kandinsky_2_prior())


def _build_single_file(folder: Path) -> None:
    from safetensors.torch import save_file

    with seeded("merge-house/one-big-file"):
        unet = style("merge-house/one-big-file")().unet
    weights = {f"model.diffusion_model.{name}": tensor for name, tensor in unet.state_dict().items()}
    save_file(weights, folder / "oneBigFile_v1Pruned.safetensors", metadata={"format": "pt"})
    front_matter = {"license": "creativeml-openrail-m", "library_name": "diffusers", "tags": ["stable-diffusion"]}
    (folder / "README.md").write_text(card(front_matter, "# One big file", "For your web UI."), encoding="utf-8")
