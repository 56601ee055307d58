"""Repositories as the wild holds them, with weights that are a few bytes: the crawler never reads a weight."""

import json
from collections.abc import Mapping
from typing import Any

SD_INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": "0.30.0",
    "feature_extractor": ["transformers", "CLIPImageProcessor"],
    "image_encoder": [None, None],
    "requires_safety_checker": True,
    "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
    "scheduler": ["diffusers", "PNDMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def stable_diffusion(card: str | bytes | None = None, **changes: bytes | None) -> dict[str, bytes]:
    """An SD 1.5 repository in the layout that save_pretrained writes; `changes` replaces files, None removes one."""
    files: dict[str, bytes] = {
        "model_index.json": as_json(SD_INDEX),
        "feature_extractor/preprocessor_config.json": as_json({"size": 224}),
        "safety_checker/config.json": as_json({"_class_name": "StableDiffusionSafetyChecker"}),
        "safety_checker/model.safetensors": b"the checker's weights",
        "scheduler/scheduler_config.json": as_json({"_class_name": "PNDMScheduler", "prediction_type": "epsilon"}),
        "text_encoder/config.json": as_json({"architectures": ["CLIPTextModel"]}),
        "text_encoder/model.safetensors": b"the text encoder's weights",
        "tokenizer/merges.txt": b"a b\n",
        "tokenizer/tokenizer_config.json": as_json({}),
        "tokenizer/vocab.json": as_json({"a": 1}),
        "unet/config.json": as_json({"_class_name": "UNet2DConditionModel", "sample_size": 64}),
        "unet/diffusion_pytorch_model.safetensors": b"the denoiser's weights",
        "vae/config.json": as_json({"_class_name": "AutoencoderKL", "block_out_channels": [128, 256, 512, 512]}),
        "vae/diffusion_pytorch_model.safetensors": b"the autoencoder's weights",
    }
    if card is not None:
        files["README.md"] = card.encode() if isinstance(card, str) else card
    return changed(files, changes)


def changed(files: Mapping[str, bytes], changes: Mapping[str, bytes | None]) -> dict[str, bytes]:
    merged: dict[str, bytes | None] = {**files, **changes}
    return {path: content for path, content in merged.items() if content is not None}


def with_class(class_name: Any) -> dict[str, bytes]:
    """An SD repository whose model_index.json names another pipeline class."""
    return stable_diffusion(CARD, **{"model_index.json": as_json({**SD_INDEX, "_class_name": class_name})})


CARD = """---
license: creativeml-openrail-m
library_name: diffusers
pipeline_tag: text-to-image
tags: [diffusers, stable-diffusion]
---
# A model
"""


def adapter_card(kind: str, base: Any) -> str:
    return (
        f"---\nlicense: mit\nlibrary_name: diffusers\nbase_model: {json.dumps(base)}\ntags: [diffusers, {kind}]\n---\n"
    )


LORA = {"pytorch_lora_weights.safetensors": b"the adapter's weights"}


def wild() -> dict[str, tuple[dict[str, bytes], dict[str, Any]]]:
    """Files and settings of repositories of every sort, most downloaded first."""
    base = "acme/base"
    everything = {
        "unet/diffusion_pytorch_model.bin": b"pickle",
        "unet/diffusion_pytorch_model.fp16.safetensors": b"half",
        "unet/diffusion_pytorch_model.non_ema.safetensors": b"training",
        "unet/diffusion_flax_model.msgpack": b"flax",
        "unet/model.onnx": b"onnx",
        "unet/openvino_model.bin": b"openvino",
        "unet/openvino_model.xml": b"openvino",
        "vae/diffusion_pytorch_model.bin": b"pickle",
        "text_encoder/pytorch_model.bin": b"pickle",
        "text_encoder/model.fp16.safetensors": b"half",
        "v1-5-pruned.safetensors": b"all of it once more",
        "v1-5-pruned.ckpt": b"and again",
        "model.gguf": b"and again",
        "optimizer.bin": b"training",
        "samples/0001.png": b"png",
    }
    halves = {
        "unet/diffusion_pytorch_model.safetensors": None,
        "unet/diffusion_pytorch_model.fp16.safetensors": b"half",
        "vae/diffusion_pytorch_model.safetensors": None,
        "vae/diffusion_pytorch_model.fp16.safetensors": b"half",
    }
    pickles = {
        "unet/diffusion_pytorch_model.safetensors": None,
        "unet/diffusion_pytorch_model.bin": b"pickle",
    }
    quantized = as_json({"sample_size": 64, "quantization_config": {"load_in_4bit": True}})
    custom = as_json({**SD_INDEX, "unet": ["my_unet", "MyUNet"]})
    found: dict[str, tuple[dict[str, bytes], dict[str, Any]]] = {
        base: (stable_diffusion(CARD), {}),
        "acme/everything": (stable_diffusion(CARD, **everything), {}),
        "acme/halves": (stable_diffusion(CARD, **halves), {}),
        "acme/gated": (stable_diffusion(CARD), {"gated": "manual"}),
        "acme/disabled": (stable_diffusion(CARD), {"disabled": True}),
        "acme/pickles": (stable_diffusion(CARD, **pickles), {}),
        "acme/quantized": (stable_diffusion(CARD, **{"unet/config.json": quantized}), {}),
        "acme/custom-pipeline": (with_class(["pipeline", "MyPipeline"]), {}),
        "acme/custom-unet": (
            stable_diffusion(CARD, **{"model_index.json": custom, "unet/my_unet.py": b"import os"}),
            {},
        ),
        "acme/film": (with_class("TextToVideoSDPipeline"), {}),
        "acme/sound": (with_class("AudioLDMPipeline"), {}),
        "acme/inpainting": (with_class("StableDiffusionInpaintPipeline"), {}),
        "acme/controlnet-pipeline": (with_class("StableDiffusionControlNetPipeline"), {}),
        "acme/depth": (with_class("StableDiffusionLDM3DPipeline"), {}),
        "acme/attention": (with_class("StableDiffusionAttendAndExcitePipeline"), {}),
        "acme/from-the-future": (with_class("HolodeckPipeline"), {}),
        "acme/future-component": (
            stable_diffusion(CARD, **{"model_index.json": as_json({**SD_INDEX, "vae": ["diffusers", "WarpDriveVAE"]})}),
            {},
        ),
        "acme/flax-pipeline": (with_class("FlaxStableDiffusionPipeline"), {}),
        "acme/onnx-pipeline": (with_class("OnnxStableDiffusionPipeline"), {}),
        "acme/no-weights": (stable_diffusion(CARD, **{"vae/diffusion_pytorch_model.safetensors": None}), {}),
        "acme/no-tokenizer": (
            stable_diffusion(
                CARD,
                **dict.fromkeys(("tokenizer/merges.txt", "tokenizer/tokenizer_config.json", "tokenizer/vocab.json")),
            ),
            {},
        ),
        "acme/broken-index": (stable_diffusion(CARD, **{"model_index.json": b'{"_class_name": "Stable'}), {}),
        "acme/list-index": (stable_diffusion(CARD, **{"model_index.json": b"[1, 2]"}), {}),
        "acme/broken-config": (stable_diffusion(CARD, **{"scheduler/scheduler_config.json": b"\xff\xfe"}), {}),
        "acme/broken-card": (stable_diffusion("---\ntags: [diffusers\nlicense: {\n---\n# Hi\n"), {}),
        "acme/single-file": ({"README.md": CARD.encode(), "model.safetensors": b"all in one"}, {}),
        "acme/gguf": ({"README.md": CARD.encode(), "model-Q4_K.gguf": b"few bits"}, {}),
        "acme/onnx": ({"README.md": CARD.encode(), "unet/model.onnx": b"onnx"}, {}),
        "acme/controlnet": (
            {
                "README.md": CARD.encode(),
                "config.json": as_json({"_class_name": "ControlNetModel"}),
                "diffusion_pytorch_model.safetensors": b"one component",
            },
            {},
        ),
        "acme/lora": ({"README.md": adapter_card("lora", base).encode(), **LORA}, {}),
        "acme/lora-without-base": ({"README.md": adapter_card("lora", None).encode(), **LORA}, {}),
        "acme/lora-lost-base": ({"README.md": adapter_card("lora", "acme/nowhere").encode(), **LORA}, {}),
        "acme/lora-two-bases": ({"README.md": adapter_card("lora", [base, "acme/halves"]).encode(), **LORA}, {}),
        "acme/lora-bad-base": ({"README.md": adapter_card("lora", "acme/pickles").encode(), **LORA}, {}),
        "acme/lora-many": (
            {"README.md": adapter_card("lora", base).encode(), "a.safetensors": b"a", "b.safetensors": b"b"},
            {},
        ),
        "acme/lora-pickle": (
            {"README.md": adapter_card("lora", base).encode(), "pytorch_lora_weights.bin": b"pickle"},
            {},
        ),
        "acme/concept": (
            {
                "README.md": adapter_card("textual_inversion", base).encode(),
                "learned_embeds.safetensors": b"an embedding",
                "token_identifier.txt": b"<cat-toy>",
            },
            {},
        ),
        "acme/concept-pickle": (
            {"README.md": adapter_card("textual_inversion", base).encode(), "learned_embeds.bin": b"pickle"},
            {},
        ),
    }
    return {
        name: (files, {"downloads": 10_000 - 10 * place, **settings})
        for place, (name, (files, settings)) in enumerate(found.items())
    }
