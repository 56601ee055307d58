"""The process in which LAVIS opens a BLIP, with the interpreter that `make lavis-env` installs: it answers as
`captioner_process` does, and is started by `backend.py`.

The weights are those that transformers reads, renamed here. It runs as a script and imports nothing of this project but
`workspace`, which needs no other package.
"""

import os
import re
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workspace.limited.serving import Handler, Server

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


def handler(_: "Server") -> "Handler":
    """Answers with one captioner, loaded first."""
    loaded: list[Captioner] = []

    def answered(message: dict[str, Any], body: bytes) -> dict[str, Any]:
        if "load" in message:
            settings = message["load"]
            try:
                loaded[:] = [Captioner(settings)]
            except Exception as error:
                return {"usage": f"{settings['folder']} cannot be loaded by LAVIS ({_in_one_line(error)})"}
            return {"target_size": settings["target_size"]}
        return {"captions": loaded[0].caption(message["caption"], body)}

    def answer(message: dict[str, Any], body: bytes, _: list[int]) -> tuple[dict[str, Any], bytes]:
        try:
            return answered(message, body), b""
        except Exception as error:
            return {"failed": f"LAVIS failed ({_in_one_line(error)})"}, b""

    return answer


def _in_one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]


class Captioner:
    """A loaded BLIP."""

    def __init__(self, settings: dict[str, Any]) -> None:
        declare_operators()
        import torch
        from lavis.models.blip_models.blip_caption import BlipCaption
        from lavis.models.med import XBertLMHeadDecoder
        from lavis.models.vit import VisionTransformerEncoder
        from lavis.processors.blip_processors import BlipImageEvalProcessor
        from transformers import BertConfig

        vision, text = settings["vision"], settings["text"]
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
            # LAVIS loads its tokenizer by this name: offline, that is a folder in the working directory.
            (Path(folder) / "bert-base-uncased").mkdir()
            shutil.copyfile(settings["vocabulary"], Path(folder) / "bert-base-uncased" / "vocab.txt")
            os.chdir(folder)
            model = BlipCaption(encoder, decoder, prompt=settings["prompt"] + " ")
            os.chdir("/")
        weights = {}
        for path in settings["weights"]:
            weights.update({renamed(name): tensor for name, tensor in read_weights(path).items()})
        require_all(model, weights)
        model.load_state_dict(weights, strict=False)
        self._device = torch.device(settings["device"])
        self._dtype = torch.bfloat16 if self._device.type == "cuda" else torch.float32
        self._model = model.to(self._device, self._dtype).eval()
        self._preprocess = BlipImageEvalProcessor(vision["image_size"], mean=settings["mean"], std=settings["std"])
        self._generation = settings["generation"]

    def caption(self, shapes: list[list[int]], pixels: bytes) -> list[str]:
        """Captions of a batch, in its order: images as height and width, and their RGB bytes one after another."""
        import torch
        from PIL import Image

        images, at = [], 0
        for height, width in shapes:
            images.append(Image.frombytes("RGB", (width, height), pixels[at : at + 3 * height * width]))
            at += 3 * height * width
        batch = torch.stack([self._preprocess(image) for image in images]).to(self._device, self._dtype)
        with torch.inference_mode():
            captions: list[str] = self._model.generate({"image": batch}, **self._generation)
        return captions


def require_all(model: Any, weights: dict[str, Any]) -> None:
    """Raise `ValueError` when `weights` lacks one of the model's, under its own name or that of a weight tied to it."""
    parameters = dict(model.named_parameters(remove_duplicate=False))
    given = {parameters[name].data_ptr() for name in weights if name in parameters}
    missing = sorted(name for name, weight in parameters.items() if weight.data_ptr() not in given)
    if missing:
        raise ValueError(f"weights are missing, such as {missing[0]}")


def read_weights(path: str) -> dict[str, Any]:
    """The weights of one file; a pickle is read without running code in it."""
    if path.endswith(".safetensors"):
        from safetensors.torch import load_file

        tensors: dict[str, Any] = load_file(path)
    else:
        import torch

        tensors = torch.load(path, map_location="cpu", weights_only=True)
    return tensors


def declare_operators() -> None:
    """Declare operators that torchvision expects from its compiled part, which does not load with a torch from another
    index (CPU only). Nothing here calls them."""
    import torch

    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "FRAGMENT")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        declare_operators.library = library  # type: ignore[attr-defined]  # keeps it alive


def _serve() -> None:
    """Import `workspace` alone from where this project is: all other packages are those of LAVIS's environment."""
    project = str(Path(__file__).parents[2])
    sys.path.insert(0, project)
    from workspace.limited.serving import serve

    sys.path.remove(project)
    serve(handler)


if __name__ == "__main__":
    _serve()
