"""What the calls in a snippet do: generate an image, load an adapter, or set its scale."""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from crawler.card.expressions import Expressions, path_of
from crawler.card.values import UNKNOWN, Adapter, OwnFile, Pipeline, is_scalar

# Classes whose calls need an image or generate a video: their settings are for another task.
_OTHER_TASK = re.compile(
    r"img2img|image2image|inpaint|upscale|controlnet|refiner|video|adapter|pix2pix|prior(?!transformer)|kontext|edit",
    re.IGNORECASE,
)
# With one of these, a call starts from an image, or makes one half of a run.
_PARTIAL_ARGUMENTS = frozenset(
    {"image", "images", "init_image", "mask_image", "control_image", "ip_adapter_image", "strength"}
    | {"denoising_start", "denoising_end"}
)
#: Arguments of the call whose entry `scale` is the scale of the LoRA.
SCALE_ARGUMENTS = ("cross_attention_kwargs", "joint_attention_kwargs", "attention_kwargs")
_LOADS_LORA = ("load_lora_weights", "load_attn_procs")
_LOADS_EMBEDDING = "load_textual_inversion"
# Files of which authors forget to say that they are in the repository.
_WEIGHTS = (".safetensors", ".bin", ".pt")
#: Calls, embeddings and tokens of a card at most.
MAX_FOUND = 200


@dataclass(frozen=True)
class Call:
    """A call of a pipeline."""

    pipeline: Pipeline
    #: Keyword arguments that the pipeline has; unknown ones too.
    arguments: Mapping[str, Any]
    #: The scale of the LoRA that this call gives: a number, unknown, or None.
    scale: Any


@dataclass(frozen=True)
class Embedding:
    """A textual inversion of the card's repository."""

    file: str | None
    tokens: tuple[str, ...]
    #: Whether its tokens are given in a form that cannot be read.
    unread: bool
    #: Repository id of the pipeline that it is loaded into.
    base_model: str | None = None


@dataclass
class Found:
    """What the snippets of a card do."""

    calls: list[Call] = field(default_factory=list)
    adapters: list[Pipeline] = field(default_factory=list)
    embeddings: list[Embedding] = field(default_factory=list)


class Calls:
    """Collects what the calls of a card do, with the values of its names."""

    def __init__(self, values: Expressions, parameters: frozenset[str]) -> None:
        self.found = Found()
        # Whether anything was loaded from the card's repository, even one component for another pipeline.
        self.own_seen = False
        self._values = values
        self._parameters = parameters

    def follow(self, node: ast.Call) -> None:
        """Take up a call, whose parts have been followed."""
        function = node.func
        if isinstance(function, ast.Attribute):
            if function.attr in _LOADS_LORA:
                self._load_lora(node, function.value)
            elif function.attr == _LOADS_EMBEDDING:
                self._load_embedding(node, function.value)
            elif function.attr in ("fuse_lora", "unfuse_lora", "set_adapters"):
                self._scale_adapter(node, function)
        pipeline, name = self.pipeline(function), path_of(function) or ""
        if (
            pipeline is not None
            and not _OTHER_TASK.search(f"{pipeline.class_name} {name}")
            and not {keyword.arg for keyword in node.keywords} & _PARTIAL_ARGUMENTS
            and (not pipeline.foreign or self.own_seen)
            and len(self.found.calls) < MAX_FOUND
        ):
            given = self._values.keywords(node)
            if given.keys() & _PARTIAL_ARGUMENTS:
                return
            arguments = {name: value for name, value in given.items() if name in self._parameters}
            self.found.calls.append(Call(pipeline, arguments, self._scale_in(given, arguments)))

    def _scale_in(self, given: Mapping[str, Any], arguments: dict[str, Any]) -> Any:
        """The scale that a call gives; an argument that holds nothing else is removed."""
        scale = None
        for name in SCALE_ARGUMENTS:
            if name not in given:
                continue
            value = given[name]
            if value is None or (isinstance(value, dict) and value.keys() <= {"scale"}):
                arguments.pop(name, None)
            if isinstance(value, dict) and "scale" in value:
                scale = _number(value["scale"])
            elif value is UNKNOWN:
                scale = UNKNOWN
        return scale

    def pipeline(self, node: ast.expr) -> Pipeline | None:
        """The pipeline that an expression is; a name that begins with `pipe` is one, wherever it comes from."""
        value = self._values.value(node)
        if isinstance(value, Pipeline):
            return value
        name = path_of(node) or ""
        return Pipeline() if value is UNKNOWN and name.startswith("pipe") and "." not in name else None

    def _owner(self, node: ast.expr) -> tuple[ast.expr, Pipeline | None]:
        """The pipeline itself, or that of which `node` is a part, such as `pipe.unet`."""
        pipeline = self.pipeline(node)
        while pipeline is None and isinstance(node, ast.Attribute):
            node = node.value
            pipeline = self.pipeline(node)
        return node, pipeline

    def set_pipeline(self, node: ast.expr, pipeline: Pipeline) -> None:
        """Give the name that `node` is another pipeline."""
        path = path_of(node)
        if path is not None:
            self._values.names[path] = pipeline

    def _own_file(self, node: ast.Call, given: Mapping[str, Any], pipeline: Pipeline | None) -> OwnFile | None:
        """The file of the card's repository that an adapter is loaded from; None: it is another repository's."""
        source = self._values.value(node.args[0]) if node.args else None
        if not node.args:
            keyword = next((name for name in given if name.startswith("pretrained_model_name_or_path")), None)
            source = given[keyword] if keyword is not None else None
        own = self._values.file_of(source)
        if own is None:
            is_local = isinstance(source, str) and source.endswith(_WEIGHTS) and "//" not in source
            return OwnFile(None) if is_local and pipeline is not None and not pipeline.own else None
        name, folder = given.get("weight_name"), given.get("subfolder")
        path = name if isinstance(name, str) else own.path
        return OwnFile(f"{folder}/{path}" if isinstance(folder, str) and folder and path else path)

    def _load_lora(self, node: ast.Call, owner: ast.expr) -> None:
        owner, pipeline = self._owner(owner)
        given = self._values.keywords(node)
        file = self._own_file(node, given, pipeline)
        if file is None or (pipeline is not None and pipeline.own and pipeline.adapter is not None):
            return
        name = given.get("adapter_name")
        adapter = Adapter(file.path, name if isinstance(name, str) else None)
        loaded = replace(pipeline or Pipeline(), own=True, adapter=adapter)
        self._values.own_pipeline = True
        self.found.adapters.append(loaded)
        if pipeline is not None:
            self.set_pipeline(owner, loaded)

    def _load_embedding(self, node: ast.Call, owner: ast.expr) -> None:
        owner, pipeline = self._owner(owner)
        given = self._values.keywords(node)
        file = self._own_file(node, given, None)
        if file is None or len(self.found.embeddings) >= MAX_FOUND:
            return
        value = given.get(
            "token", given.get("tokens", self._values.value(node.args[1]) if len(node.args) > 1 else None)
        )
        stated = value if isinstance(value, list) else [value]
        tokens = tuple(token for token in stated[:MAX_FOUND] if isinstance(token, str))
        self.found.embeddings.append(
            Embedding(file.path, tokens, value is UNKNOWN, None if pipeline is None else pipeline.source)
        )
        self._values.own_pipeline = True
        if pipeline is not None:
            self.set_pipeline(owner, replace(pipeline, own=True))

    def _scale_adapter(self, node: ast.Call, function: ast.Attribute) -> None:
        owner, pipeline = self._owner(function.value)
        if pipeline is None or pipeline.adapter is None:
            return
        given, adapter = self._values.keywords(node), pipeline.adapter
        if function.attr == "unfuse_lora":
            adapter = replace(adapter, fused=None)
        elif function.attr == "fuse_lora":
            adapter = replace(adapter, fused=_number(given.get("lora_scale")))
        else:
            values = dict(zip(("adapter_names", "adapter_weights"), map(self._values.value, node.args), strict=False))
            weights = given.get("adapter_weights", values.get("adapter_weights"))
            adapter = replace(
                adapter, weight=_weight(given.get("adapter_names", values.get("adapter_names")), weights, adapter.name)
            )
        self.set_pipeline(owner, replace(pipeline, adapter=adapter))


def _number(value: Any) -> Any:
    """A scale: a number, unknown, or None."""
    is_number = value is None or (is_scalar(value) and not isinstance(value, bool | str))
    return value if is_number else UNKNOWN


def _weight(names: Any, weights: Any, own: str | None) -> Any:
    """The weight of the adapter `own`, where `set_adapters` gets these names and weights."""
    if not isinstance(weights, list):
        return _number(weights)
    listed = names if isinstance(names, list) else [names]
    if len(listed) == len(weights) == 1:
        return _number(weights[0])
    if own in listed and len(listed) == len(weights):
        return _number(weights[listed.index(own)])
    return UNKNOWN
