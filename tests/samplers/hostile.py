"""Repositories that mean harm, each made of an honest one by a single change; and a payload that tells when it ran."""

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

UNET = "unet/diffusion_pytorch_model.safetensors"
PAYLOAD = "the payload ran"
#: What the process that runs the payload ends with: no library does.
PAYLOAD_CODE = 77


class Payload:
    """As a pickle, it runs code in whoever reads it."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return exec, (f"import os; os.write(2, b'{PAYLOAD}\\n'); os._exit({PAYLOAD_CODE})",)


def pickled_as(path: str) -> Callable[[Path], None]:
    """A pickle with the payload, under the name of something else."""

    def change(folder: Path) -> None:
        import torch

        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        torch.save(Payload(), folder / path)

    return change


def config(path: str, **values: Any) -> Callable[[Path], None]:
    """Other values in a file of JSON."""

    def change(folder: Path) -> None:
        settings = json.loads((folder / path).read_text())
        (folder / path).write_text(json.dumps(settings | values))

    return change


def header(lie: Callable[[dict[str, Any], list[str]], object]) -> Callable[[Path], None]:
    """Another header over the same tensors: `lie` is given it, and the tensors' names by their place."""

    def change(folder: Path) -> None:
        content = (folder / UNET).read_bytes()
        (length,) = struct.unpack_from("<Q", content)
        tensors = json.loads(content[8 : 8 + length])
        names = sorted(tensors.keys() - {"__metadata__"}, key=lambda name: tensors[name]["data_offsets"])
        lie(tensors, names)
        (folder / UNET).write_bytes(safetensors(tensors) + content[8 + length :])

    return change


def safetensors(tensors: dict[str, Any]) -> bytes:
    """A header as the format has it."""
    text = json.dumps(tensors).encode()
    return struct.pack("<Q", len(text)) + text


def replaced(path: str, content: bytes) -> Callable[[Path], None]:
    """Other bytes in a file."""

    def change(folder: Path) -> None:
        (folder / path).write_bytes(content)

    return change


def cut(folder: Path) -> None:
    """Tensors beyond the end of the file."""
    os.truncate(folder / UNET, (folder / UNET).stat().st_size - 100_000)


def as_gguf(folder: Path) -> None:
    (folder / UNET).rename((folder / UNET).with_suffix(".gguf"))


def shards_elsewhere(folder: Path) -> None:
    """An index that takes every tensor from another generator's folder, which is there."""
    from safetensors import safe_open

    with safe_open(folder / UNET, framework="pt") as weights:
        names = list(weights.keys())
    (folder / UNET).unlink()
    elsewhere = "../../../tests--victim/model/" + UNET
    index = {"metadata": {}, "weight_map": dict.fromkeys(names, elsewhere)}
    (folder / f"{UNET}.index.json").write_text(json.dumps(index))


def adapter_elsewhere(folder: Path) -> None:
    """A part that says it is an adapter, to weights that lie in another generator's folder."""
    settings = {"base_model_name_or_path": "../../tests--victim/model/text_encoder", "peft_type": "LORA"}
    (folder / "text_encoder" / "adapter_config.json").write_text(json.dumps(settings))


def code(folder: Path) -> None:
    """A module in the repository, and an index that names it."""
    (folder / "unet" / "my_unet.py").write_text(f"import os; os.write(2, b'{PAYLOAD}\\n'); os._exit({PAYLOAD_CODE})")
    config("model_index.json", unet=["my_unet", "MyUNet"])(folder)


def swelling_tokenizer(folder: Path) -> None:
    """Each letter becomes a thousand, again and again: in a library that ends the process when memory runs out."""
    path = folder / "tokenizer" / "tokenizer.json"
    settings = json.loads(path.read_text())
    swell = {"type": "Replace", "pattern": {"Regex": "[a-z ]"}, "content": "a" * 3000}
    settings["normalizer"] = {"type": "Sequence", "normalizers": [swell] * 8}
    path.write_text(json.dumps(settings))
    (folder / "tokenizer" / "tokenizer_config.json").write_text('{"model_max_length": 77}')
    config("model_index.json", tokenizer=["transformers", "PreTrainedTokenizerFast"])(folder)


def not_numbers(folder: Path) -> None:
    """Weights that are no numbers."""
    import torch
    from safetensors.torch import load_file, save_file

    weights = {name: torch.full_like(tensor, float("nan")) for name, tensor in load_file(folder / UNET).items()}
    save_file(weights, folder / UNET, metadata={"format": "pt"})
