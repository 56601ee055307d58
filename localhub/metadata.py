"""The metadata that the Hub derives from a repository's files: card, tags, library, task, ancestors.

The rules were observed on public repositories of huggingface.co: the library comes from the card or from files that
only one library writes; tags are the library, file formats, the card's own tags and one `name:value` tag for each
licence, dataset, ancestor and pipeline class. The metadata of a commit depends on its files alone.
"""

import json
import math
import re
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from localhub import card as cards
from localhub.request_errors import BadRequest

#: Reads a file of the commit, at most so many bytes of it (-1: all).
Reader = Callable[[str, int], bytes]

_TASKS = frozenset(
    {
        "automatic-speech-recognition",
        "depth-estimation",
        "feature-extraction",
        "fill-mask",
        "image-classification",
        "image-segmentation",
        "image-text-to-text",
        "image-to-3d",
        "image-to-image",
        "image-to-text",
        "image-to-video",
        "object-detection",
        "text-classification",
        "text-generation",
        "text-to-3d",
        "text-to-audio",
        "text-to-image",
        "text-to-speech",
        "text-to-video",
        "unconditional-image-generation",
        "zero-shot-image-classification",
    }
)
#: Tags of file formats, by the names of files.
_FORMATS = {
    "safetensors": re.compile(r"\.safetensors$"),
    "pytorch": re.compile(r"(^|/)pytorch_model[^/]*\.bin$"),
    "tf": re.compile(r"(^|/)tf_model[^/]*\.h5$"),
    "jax": re.compile(r"(^|/)flax_model[^/]*\.msgpack$"),
    "onnx": re.compile(r"\.onnx$"),
    "gguf": re.compile(r"\.gguf$"),
}
#: Tasks of pipeline classes by their name; the first match counts, all others are text-to-image.
_PIPELINE_TASKS = (
    (re.compile(r"Img2Img|Inpaint|Upscale|Pix2Pix|Edit|Img2Vid(?!eo)|ControlNet|Redux|Fill|Kontext"), "image-to-image"),
    (re.compile(r"ImageToVideo|VideoDiffusionPipeline"), "image-to-video"),
    (re.compile(r"Video|Animat|CogVideo|Wan|LTX|Mochi"), "text-to-video"),
    (re.compile(r"Audio|Music"), "text-to-audio"),
    (re.compile(r"^ShapE"), "text-to-3d"),
)
_UNPROMPTED = re.compile(
    r"^(DDPM|DDIM|PNDM|ScoreSdeVe|KarrasVe|LDM|Consistency(Model)?|DiT|DanceDiffusion|RePaint|LatentDiffusionUncond)Pipeline$"
)
_ARXIV = re.compile(r"arxiv\.org/(?:abs|pdf)/(\d{4}\.\d{4,5})")
_ADAPTER_FILES = re.compile(r"(^|/)(adapter_config\.json|pytorch_lora_weights[^/]*\.(safetensors|bin))$")

#: Largest JSON or card that is read, in bytes.
_MAX_TEXT_BYTES = 1 << 22
#: Largest safetensors header, in bytes (huggingface_hub.constants.SAFETENSORS_MAX_HEADER_LENGTH).
_MAX_HEADER_BYTES = 25_000_000
#: What a tensor can be: its elements can be counted in 64 bits.
_DTYPE, _MAX_DIMENSIONS, _MAX_ELEMENTS = re.compile(r"[A-Z][A-Z0-9_]{0,15}", re.ASCII), 64, 2**63


@dataclass(frozen=True)
class Metadata:
    """The metadata of a commit. `card` is None if it is missing or broken."""

    card: dict[str, Any] | None = None
    tags: list[str] = field(default_factory=list)
    library_name: str | None = None
    pipeline_tag: str | None = None
    config: dict[str, Any] | None = None
    base_models: dict[str, Any] | None = None
    safetensors: dict[str, Any] | None = None


def derive(kind: str, paths: Mapping[str, int], read: Reader) -> Metadata:
    """The metadata of a commit: `paths` are its files with their sizes in bytes, `read` returns their contents.

    Raises `BadRequest` for weights with tensors that cannot exist; what is only broken has no metadata.
    """
    readme = read("README.md", _MAX_TEXT_BYTES).decode("utf-8", "replace") if "README.md" in paths else ""
    try:
        card = cards.parse(readme)
    except cards.BrokenCardError:
        card = None
    if kind == "dataset":
        return Metadata(card=card, tags=_unique(_dataset_tags(card or {})))
    pipeline_class = _text(_json(paths, read, "model_index.json").get("_class_name"))
    config = _json(paths, read, "config.json")
    library = _library(card or {}, paths, pipeline_class, config)
    task = _task(card or {}, pipeline_class)
    relation, ancestors = _ancestors(card or {}, paths)
    tags = _model_tags(card or {}, readme, paths, library, pipeline_class, relation, ancestors)
    shown: dict[str, Any] = {name: config[name] for name in ("architectures", "model_type") if name in config}
    if pipeline_class:
        shown["diffusers"] = {"_class_name": pipeline_class}
    return Metadata(
        card=card,
        tags=_unique(tags),
        library_name=library,
        pipeline_tag=task,
        config=shown or None,
        base_models={"relation": relation, "models": [{"id": name} for name in ancestors]} if ancestors else None,
        safetensors=_parameters(paths, read),
    )


def _library(
    card: Mapping[str, Any], paths: Mapping[str, int], pipeline: str | None, config: Mapping[str, Any]
) -> str | None:
    if named := _text(card.get("library_name")):
        return named
    if pipeline or "diffusers" in cards.texts(card.get("tags")) or "_diffusers_version" in config:
        return "diffusers"
    if "adapter_config.json" in paths:
        return "peft"
    return "transformers" if "model_type" in config or "architectures" in config else None


def _task(card: Mapping[str, Any], pipeline: str | None) -> str | None:
    if named := _text(card.get("pipeline_tag")):
        return named
    for tag in cards.texts(card.get("tags")):
        if tag in _TASKS:
            return tag
    if pipeline is None or _UNPROMPTED.search(pipeline):
        return None
    return next((task for pattern, task in _PIPELINE_TASKS if pattern.search(pipeline)), "text-to-image")


def _ancestors(card: Mapping[str, Any], paths: Mapping[str, int]) -> tuple[str, list[str]]:
    ancestors = cards.texts(card.get("base_model"))
    tags = {tag.lower() for tag in cards.texts(card.get("tags"))}
    if relation := _text(card.get("base_model_relation")):
        return relation, ancestors
    if tags & {"lora", "adapter", "textual_inversion"} or any(_ADAPTER_FILES.search(path) for path in paths):
        return "adapter", ancestors
    if any(path.endswith(".gguf") for path in paths):
        return "quantized", ancestors
    return ("merge" if len(ancestors) > 1 else "finetune"), ancestors


def _model_tags(
    card: Mapping[str, Any],
    readme: str,
    paths: Mapping[str, int],
    library: str | None,
    pipeline: str | None,
    relation: str,
    ancestors: list[str],
) -> Iterator[str]:
    if library:
        yield library
    yield from (name for name, pattern in _FORMATS.items() if any(pattern.search(path) for path in paths))
    yield from cards.texts(card.get("tags"))
    yield from cards.texts(card.get("language"))
    yield from (f"dataset:{name}" for name in cards.texts(card.get("datasets")))
    yield from (f"arxiv:{number}" for number in _ARXIV.findall(readme))
    for ancestor in ancestors:
        yield f"base_model:{ancestor}"
        yield f"base_model:{relation}:{ancestor}"
    yield from (f"license:{name}" for name in cards.texts(card.get("license")))
    if pipeline:
        yield f"diffusers:{pipeline}"
    yield "region:us"


def _dataset_tags(card: Mapping[str, Any]) -> Iterator[str]:
    for name in ("task_categories", "task_ids", "multilinguality", "language", "license", "size_categories"):
        yield from (f"{name}:{value}" for value in cards.texts(card.get(name)))
    yield "region:us"
    yield from cards.texts(card.get("tags"))


def _parameters(paths: Mapping[str, int], read: Reader) -> dict[str, Any] | None:
    """Numbers of parameters by data type, from the header of model.safetensors in the root, as the Hub counts them."""
    size = paths.get("model.safetensors", 0)
    if size < 8:
        return None
    (length,) = struct.unpack("<Q", read("model.safetensors", 8))
    if length > min(size - 8, _MAX_HEADER_BYTES):
        return None
    counts: Counter[str] = Counter()
    try:
        header = json.loads(read("model.safetensors", 8 + length)[8:])
        for name, tensor in header.items():
            if name != "__metadata__":
                elements = _elements(tensor["dtype"], tensor["shape"])
                counts[tensor["dtype"]] += elements
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return {"parameters": dict(counts), "total": sum(counts.values())}


def _elements(dtype: Any, shape: Any) -> int:
    """The number of elements of a tensor; raises `BadRequest` for a type or a shape that no tensor has."""
    valid = isinstance(dtype, str) and _DTYPE.fullmatch(dtype) is not None and isinstance(shape, list)
    valid = valid and len(shape) <= _MAX_DIMENSIONS
    if not valid or not all(type(extent) is int and 0 <= extent < _MAX_ELEMENTS for extent in shape):
        raise BadRequest("model.safetensors: a tensor has a type or a shape that no tensor can have")
    elements: int = math.prod(shape)
    if elements >= _MAX_ELEMENTS:
        raise BadRequest(f"model.safetensors: a tensor has more than {_MAX_ELEMENTS:,} elements")
    return elements


def _json(paths: Mapping[str, int], read: Reader, path: str) -> dict[str, Any]:
    if not 0 < paths.get(path, 0) <= _MAX_TEXT_BYTES:
        return {}
    try:
        value = json.loads(read(path, -1))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _unique(tags: Iterator[str]) -> list[str]:
    return list(dict.fromkeys(tags))
