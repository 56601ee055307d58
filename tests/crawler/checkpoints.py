"""Files with a safetensors header and zeros, in the layouts of single-file checkpoints: the crawler reads no value."""

import json
from collections.abc import Mapping
from pathlib import Path

Shapes = Mapping[str, tuple[int, ...]]

#: One tensor of each component of Stable Diffusion 1, and the convolutions that tell how many channels it takes.
SD1: dict[str, tuple[int, ...]] = {
    "model.diffusion_model.input_blocks.0.0.weight": (2, 4, 1, 1),
    "model.diffusion_model.out.2.weight": (4, 2, 1, 1),
    "first_stage_model.encoder.conv_in.weight": (2, 3),
    "cond_stage_model.transformer.text_model.embeddings.position_embedding.weight": (2, 2),
}


def header(shapes: Shapes, dtype: str = "F16") -> bytes:
    described, at = {}, 0
    for name, shape in shapes.items():
        size = 2
        for side in shape:
            size *= side
        described[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps({"__metadata__": {"format": "pt"}, **described}).encode()
    return len(text).to_bytes(8, "little") + text + bytes(at)


def write(path: Path, shapes: Shapes = SD1, mark: bytes = b"") -> Path:
    """`mark` changes the values: files with different ones have different hashes."""
    content = header(shapes)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content[: len(content) - len(mark)] + mark)
    return path


def without(*names: str, **more: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Stable Diffusion 1 without the tensors that contain one of these texts."""
    return {name: shape for name, shape in SD1.items() if not any(text in name for text in names)} | more
