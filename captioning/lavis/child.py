"""BLIP by LAVIS, for the environment that `make lavis-env` makes: lines of JSON in, lines of JSON out.

    {"weights": [FILES], "vocabulary": FILE, "vision": {...}, "text": {...}, "mean": ..., "device": ..., ...}
    -> {"ready": true}
    {"views": [{"size": [WIDTH, HEIGHT], "rgb": BASE64}, ...]} -> {"captions": ["...", ...]}
    anything that goes wrong -> {"error": "..."}

The weights are those that transformers reads, renamed here. This file runs as a script under Python 3.9 or newer and
imports nothing of the project; it ends when nobody speaks to it any more.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

#: transformers' names of weights, and LAVIS's; those of the text decoder are the same.
_RENAMED = (
    (r"vision_model\.embeddings\.class_embedding", "visual_encoder.cls_token"),
    (r"vision_model\.embeddings\.position_embedding", "visual_encoder.pos_embed"),
    (r"vision_model\.embeddings\.patch_embedding\.", "visual_encoder.patch_embed.proj."),
    (r"vision_model\.post_layernorm\.", "visual_encoder.norm."),
    (r"vision_model\.encoder\.layers\.(\d+)\.self_attn\.projection\.", r"visual_encoder.blocks.\1.attn.proj."),
    (r"vision_model\.encoder\.layers\.(\d+)\.self_attn\.", r"visual_encoder.blocks.\1.attn."),
    (r"vision_model\.encoder\.layers\.(\d+)\.layer_norm", r"visual_encoder.blocks.\1.norm"),
    (r"vision_model\.encoder\.layers\.", "visual_encoder.blocks."),
)


def renamed(name: str) -> str:
    """LAVIS's name of a weight that transformers calls `name`."""
    for theirs, lavis in _RENAMED:
        match = re.match(theirs, name)
        if match:
            return match.expand(lavis) + name[match.end() :]
    return name


def main() -> None:
    """Load what the first line says, then caption what the others bring."""
    lines = sys.stdin.buffer
    # What libraries print must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    try:
        captioner = Captioner(json.loads(lines.readline()))
        answer({"ready": True})
        for line in lines:
            answer({"captions": captioner.caption(json.loads(line)["views"])})
    except Exception as error:
        answer({"error": f"{type(error).__name__}: {' '.join(str(error).split())}"[:500]})
        raise


class Captioner:
    """A loaded BLIP."""

    def __init__(self, asked: dict[str, Any]) -> None:
        declare_operators()
        import torch
        from lavis.models.blip_models.blip_caption import BlipCaption
        from lavis.models.med import XBertLMHeadDecoder
        from lavis.models.vit import VisionTransformerEncoder
        from lavis.processors.blip_processors import BlipImageEvalProcessor
        from transformers import BertConfig

        vision, text = asked["vision"], asked["text"]
        encoder = VisionTransformerEncoder(
            img_size=vision["image_size"],
            patch_size=vision["patch_size"],
            embed_dim=vision["hidden_size"],
            depth=vision["num_hidden_layers"],
            num_heads=vision["num_attention_heads"],
            mlp_ratio=vision["intermediate_size"] / vision["hidden_size"],
            norm_layer=partial(torch.nn.LayerNorm, eps=vision["layer_norm_eps"]),
        )
        decoder = XBertLMHeadDecoder(
            BertConfig(
                **text,
                encoder_width=vision["hidden_size"],
                add_cross_attention=True,
                add_type_embeddings=False,
            )
        )
        with tempfile.TemporaryDirectory() as folder:
            # LAVIS asks for its tokenizer by this name: offline, that is a folder in the working directory.
            (Path(folder) / "bert-base-uncased").mkdir()
            shutil.copy(asked["vocabulary"], Path(folder) / "bert-base-uncased" / "vocab.txt")
            os.chdir(folder)
            model = BlipCaption(encoder, decoder, prompt=asked["prompt"] + " ")
            os.chdir("/")
        whole = {}
        for path in asked["weights"]:
            whole.update({renamed(name): tensor for name, tensor in read_weights(path).items()})
        require_all(model, whole)
        model.load_state_dict(whole, strict=False)
        self._device = torch.device(asked["device"])
        self._dtype = torch.bfloat16 if self._device.type == "cuda" else torch.float32
        self._model = model.to(self._device, self._dtype).eval()
        self._preprocess = BlipImageEvalProcessor(vision["image_size"], mean=asked["mean"], std=asked["std"])
        self._generation = asked["generation"]

    def caption(self, views: list[dict[str, Any]]) -> list[str]:
        """Captions of a batch, in its order."""
        import torch
        from PIL import Image

        images = [Image.frombytes("RGB", tuple(view["size"]), base64.b64decode(view["rgb"])) for view in views]
        pixels = torch.stack([self._preprocess(image) for image in images]).to(self._device, self._dtype)
        with torch.inference_mode():
            captions: list[str] = self._model.generate({"image": pixels}, **self._generation)
        return captions


def require_all(model: Any, weights: dict[str, Any]) -> None:
    """Raise `ValueError` when the model has weights that `weights` does not bring, in their own name or another's."""
    own = dict(model.named_parameters(remove_duplicate=False))
    brought = {own[name].data_ptr() for name in weights if name in own}
    missing = sorted(name for name, weight in own.items() if weight.data_ptr() not in brought)
    if missing:
        raise ValueError(f"weights are missing, such as {missing[0]}")


def read_weights(path: str) -> dict[str, Any]:
    """The weights of one file; a pickle is read without running what is in it."""
    if path.endswith(".safetensors"):
        from safetensors.torch import load_file

        tensors: dict[str, Any] = load_file(path)
    else:
        import torch

        tensors = torch.load(path, map_location="cpu", weights_only=True)
    return tensors


def declare_operators() -> None:
    """Tell torch of operators that torchvision expects of its compiled part, which beside a torch from elsewhere (CPU
    only) does not load. Nothing here calls them."""
    import torch

    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "FRAGMENT")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        declare_operators.library = library  # type: ignore[attr-defined]  # it is gone when nobody holds it


if __name__ == "__main__":
    main()
