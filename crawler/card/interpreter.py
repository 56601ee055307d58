"""A small interpreter of a card's Python snippets: it follows statements in order and finds the calls of pipelines.

Nothing is run. A name that depends on a loop, a branch or a function's caller has no value; a parameter with a default
has that value. A value that cannot be followed is unknown, never the former value of that name.
"""

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from crawler.card.expressions import Expressions, path_of
from crawler.card.values import MAX_KEYS, UNKNOWN, Adapter, ClassName, OwnFile, Pipeline, Scheduler, is_scalar

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
# Methods of lists and dictionaries that leave them as they are.
_READING_METHODS = frozenset({"get", "items", "keys", "values", "copy", "index", "count"})
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


@dataclass
class Found:
    """What the snippets of a card do."""

    calls: list[Call] = field(default_factory=list)
    adapters: list[Pipeline] = field(default_factory=list)
    embeddings: list[Embedding] = field(default_factory=list)


class Interpreter:
    """Follows the statements of a card's snippets in order; names are kept from one snippet to the next.

    Raises `crawler.card.expressions.TooLong` when a card has more code than is read.
    """

    def __init__(self, model_name: str, parameters: frozenset[str]) -> None:
        self.found = Found()
        self.values = Expressions(model_name)
        self._names = self.values.names
        self._parameters = parameters
        # Whether anything was loaded from the card's repository, even one component for another pipeline.
        self._own_seen = False
        self._handlers: Mapping[type[ast.AST], Callable[[Any], None]] = {
            ast.Constant: self._constant,
            ast.ImportFrom: self._import,
            ast.If: self._if,
            ast.Try: self._try,
            ast.Match: self._match,
            ast.For: self._for,
            ast.AsyncFor: self._for,
            ast.While: self._loop,
            ast.With: self._with,
            ast.AsyncWith: self._with,
            ast.FunctionDef: self._function,
            ast.AsyncFunctionDef: self._function,
            ast.Lambda: self._lambda,
            ast.ListComp: self._comprehension,
            ast.SetComp: self._comprehension,
            ast.DictComp: self._comprehension,
            ast.GeneratorExp: self._comprehension,
            ast.Assign: self._assignment,
            ast.AnnAssign: self._annotated,
            ast.NamedExpr: self._annotated,
            ast.AugAssign: self._augmented,
            ast.Delete: self._deletion,
            ast.Call: self._call,
        }

    def pipelines(self) -> list[Pipeline]:
        """The pipelines that names stand for at the end."""
        return [value for value in self._names.values() if isinstance(value, Pipeline)]

    def visit(self, node: ast.AST) -> None:
        """Follow a statement or look for calls in an expression."""
        self.values.count()
        self._handlers.get(type(node), self._visit_parts)(node)

    def _visit_parts(self, node: ast.AST) -> None:
        for part in ast.iter_child_nodes(node):
            if not isinstance(part, ast.expr_context | ast.operator):
                self.visit(part)

    def _constant(self, node: ast.Constant) -> None:
        self._own_seen = self._own_seen or self.values.file_of(node.value) is not None

    def _import(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            if alias.asname is not None:
                self._names[alias.asname] = ClassName(alias.name)

    # Branches

    def _if(self, node: ast.If) -> None:
        self.visit(node.test)
        self._branches(node.body, node.orelse)

    def _try(self, node: ast.Try) -> None:
        self._visit_all(node.body)
        for handler in node.handlers:
            self._branches([], handler.body)
        self._visit_all([*node.orelse, *node.finalbody])

    def _match(self, node: ast.Match) -> None:
        self.visit(node.subject)
        for case in node.cases:
            self._branches(case.body, [])
        self._set_unknown(node)

    def _branches(self, one: list[ast.stmt], other: list[ast.stmt]) -> None:
        with self._names.branch() as first:
            self._visit_all(one)
        with self._names.branch() as second:
            self._visit_all(other)
        self._names.merge(first, second, both=bool(one and other))

    def _for(self, node: ast.For | ast.AsyncFor) -> None:
        self.visit(node.iter)
        self._loop(node)

    def _loop(self, node: ast.For | ast.AsyncFor | ast.While) -> None:
        # What the body changes is unknown when it begins again.
        self._set_unknown(node, but_pipelines=True)
        self._visit_all([*node.body, *node.orelse])

    def _with(self, node: ast.With | ast.AsyncWith) -> None:
        for item in node.items:
            self.visit(item.context_expr)
            if item.optional_vars is not None:
                self._set_unknown(item.optional_vars)
        self._visit_all(node.body)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        with self._names.branch() as ended:
            self._parameters_of(node.args)
            self._visit_all(node.body)
        # `self.pipe` is still there when the function has ended.
        for name in ended:
            if "." in name:
                self._names[name] = ended[name]

    def _lambda(self, node: ast.Lambda) -> None:
        with self._names.branch():
            self._parameters_of(node.args)
            self.visit(node.body)

    def _parameters_of(self, arguments: ast.arguments) -> None:
        positional = [*arguments.posonlyargs, *arguments.args]
        defaults = [
            *zip(reversed(positional), reversed(arguments.defaults), strict=False),
            *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
        ]
        values = [(argument.arg, self.values.value(default)) for argument, default in defaults if default is not None]
        for argument in (*positional, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg):
            if argument is not None and argument.arg != "self":
                self._names[argument.arg] = UNKNOWN
        for name, value in values:
            self._names[name] = value

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> None:
        with self._names.branch():
            for loop in node.generators:
                self._set_unknown(loop.target)
            self._visit_parts(node)

    def _visit_all(self, nodes: list[ast.stmt]) -> None:
        for node in nodes:
            self.visit(node)

    # Assignments

    def _assignment(self, node: ast.Assign) -> None:
        self.visit(node.value)
        value = self.values.value(node.value)
        for target in node.targets:
            self._assign(target, value, node.value)

    def _annotated(self, node: ast.AnnAssign | ast.NamedExpr) -> None:
        if node.value is not None:
            self.visit(node.value)
            self._assign(node.target, self.values.value(node.value), node.value)

    def _augmented(self, node: ast.AugAssign) -> None:
        self.visit(node.value)
        load = ast.BinOp(left=node.target, op=node.op, right=node.value)
        self._assign(node.target, self.values.value(load), node.value)

    def _deletion(self, node: ast.Delete) -> None:
        for target in node.targets:
            self._assign(target, UNKNOWN, target)

    def _assign(self, target: ast.expr, value: Any, written: ast.expr) -> None:
        if isinstance(target, ast.Tuple | ast.List):
            self._unpack(target.elts, value, written)
        elif isinstance(target, ast.Subscript):
            self._update(target.value, {self.values.value(target.slice): value})
        elif isinstance(target, ast.Attribute) and target.attr == "scheduler":
            pipeline = self._pipeline(target.value)
            if pipeline is not None:
                scheduler = value if isinstance(value, Scheduler) else UNKNOWN
                self._set_pipeline(target.value, replace(pipeline, scheduler=scheduler))
            else:
                self._set_path(target, value)
        else:
            self._set_path(target, value)

    def _unpack(self, targets: list[ast.expr], value: Any, written: ast.expr) -> None:
        written_parts = written.elts if isinstance(written, ast.Tuple | ast.List) else []
        for position, target in enumerate(targets):
            if len(written_parts) == len(targets) and not any(isinstance(part, ast.Starred) for part in targets):
                part = written_parts[position]
                self._assign(target, self.values.value(part), part)
            elif isinstance(value, list) and len(value) == len(targets) and not isinstance(target, ast.Starred):
                self._assign(target, value[position], written)
            else:
                self._set_unknown(target)

    def _set_path(self, target: ast.expr, value: Any) -> None:
        path = path_of(target)
        if path is not None:
            self._names[path] = value

    def _update(self, owner: ast.expr, entries: Mapping[Any, Any] | None) -> None:
        """Change entries of the dictionary or list `owner`; None: unknown ones."""
        path = path_of(owner)
        if path is None or path not in self._names:
            return
        value = self._names[path]
        known = isinstance(value, dict) and entries is not None and all(map(is_scalar, entries))
        self._names[path] = value | entries if known and len(value) < MAX_KEYS else UNKNOWN

    def _set_unknown(self, node: ast.AST, but_pipelines: bool = False) -> None:
        """Forget the values of all names that are assigned in a statement, or in a target."""
        for part in ast.walk(node):
            self.values.count()
            if isinstance(part, ast.Name | ast.Attribute | ast.Subscript) and not isinstance(part.ctx, ast.Load):
                path = path_of(part.value if isinstance(part, ast.Subscript) else part)
                if path is not None and not (but_pipelines and isinstance(self._names[path], Pipeline)):
                    self._names[path] = UNKNOWN

    # Calls

    def _call(self, node: ast.Call) -> None:
        self._visit_parts(node)
        function = node.func
        if isinstance(function, ast.Attribute):
            if function.attr in _LOADS_LORA:
                self._load_lora(node, function.value)
            elif function.attr == _LOADS_EMBEDDING:
                self._load_embedding(node, function.value)
            elif function.attr in ("fuse_lora", "unfuse_lora", "set_adapters"):
                self._scale_adapter(node, function)
            else:
                self._method(node, function)
        pipeline, name = self._pipeline(function), path_of(function) or ""
        if (
            pipeline is not None
            and not _OTHER_TASK.search(f"{pipeline.class_name} {name}")
            and not {keyword.arg for keyword in node.keywords} & _PARTIAL_ARGUMENTS
            and (not pipeline.foreign or self._own_seen)
            and len(self.found.calls) < MAX_FOUND
        ):
            given = self.values.keywords(node)
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

    def _pipeline(self, node: ast.expr) -> Pipeline | None:
        """The pipeline that an expression is; a name that begins with `pipe` is one, wherever it comes from."""
        value = self.values.value(node)
        if isinstance(value, Pipeline):
            return value
        name = path_of(node) or ""
        return Pipeline() if value is UNKNOWN and name.startswith("pipe") and "." not in name else None

    def _owner(self, node: ast.expr) -> tuple[ast.expr, Pipeline | None]:
        """The pipeline itself, or that of which `node` is a part, such as `pipe.unet`."""
        pipeline = self._pipeline(node)
        while pipeline is None and isinstance(node, ast.Attribute):
            node = node.value
            pipeline = self._pipeline(node)
        return node, pipeline

    def _set_pipeline(self, node: ast.expr, pipeline: Pipeline) -> None:
        self._set_path(node, pipeline)

    def _method(self, node: ast.Call, function: ast.Attribute) -> None:
        """Methods of dictionaries and lists change them."""
        path = path_of(function.value)
        if path is None or not isinstance(self._names[path], dict | list) or function.attr in _READING_METHODS:
            return
        if function.attr != "update" or len(node.args) > 1:
            self._update(function.value, None)
            return
        entries = self.values.value(node.args[0]) if node.args else {}
        self._update(function.value, entries | self.values.keywords(node) if isinstance(entries, dict) else None)

    def _own_file(self, node: ast.Call, given: Mapping[str, Any], pipeline: Pipeline | None) -> OwnFile | None:
        """The file of the card's repository that an adapter is loaded from; None: it is another repository's."""
        source = self.values.value(node.args[0]) if node.args else None
        if not node.args:
            keyword = next((name for name in given if name.startswith("pretrained_model_name_or_path")), None)
            source = given[keyword] if keyword is not None else None
        own = self.values.file_of(source)
        if own is None:
            is_local = isinstance(source, str) and source.endswith(_WEIGHTS) and "//" not in source
            return OwnFile(None) if is_local and pipeline is not None and not pipeline.own else None
        name, folder = given.get("weight_name"), given.get("subfolder")
        path = name if isinstance(name, str) else own.path
        return OwnFile(f"{folder}/{path}" if isinstance(folder, str) and folder and path else path)

    def _load_lora(self, node: ast.Call, owner: ast.expr) -> None:
        owner, pipeline = self._owner(owner)
        given = self.values.keywords(node)
        file = self._own_file(node, given, pipeline)
        if file is None or (pipeline is not None and pipeline.own and pipeline.adapter is not None):
            return
        name = given.get("adapter_name")
        adapter = Adapter(file.path, name if isinstance(name, str) else None)
        loaded = replace(pipeline or Pipeline(), own=True, adapter=adapter)
        self.values.own_pipeline = True
        self.found.adapters.append(loaded)
        if pipeline is not None:
            self._set_pipeline(owner, loaded)

    def _load_embedding(self, node: ast.Call, owner: ast.expr) -> None:
        owner, pipeline = self._owner(owner)
        given = self.values.keywords(node)
        file = self._own_file(node, given, None)
        if file is None or len(self.found.embeddings) >= MAX_FOUND:
            return
        value = given.get("token", given.get("tokens", self.values.value(node.args[1]) if len(node.args) > 1 else None))
        stated = value if isinstance(value, list) else [value]
        tokens = tuple(token for token in stated[:MAX_FOUND] if isinstance(token, str))
        self.found.embeddings.append(Embedding(file.path, tokens, unread=value is UNKNOWN))
        self.values.own_pipeline = True
        if pipeline is not None:
            self._set_pipeline(owner, replace(pipeline, own=True))

    def _scale_adapter(self, node: ast.Call, function: ast.Attribute) -> None:
        owner, pipeline = self._owner(function.value)
        if pipeline is None or pipeline.adapter is None:
            return
        given, adapter = self.values.keywords(node), pipeline.adapter
        if function.attr == "unfuse_lora":
            adapter = replace(adapter, fused=None)
        elif function.attr == "fuse_lora":
            adapter = replace(adapter, fused=_number(given.get("lora_scale")))
        else:
            values = dict(zip(("adapter_names", "adapter_weights"), map(self.values.value, node.args), strict=False))
            weights = given.get("adapter_weights", values.get("adapter_weights"))
            adapter = replace(
                adapter, weight=_weight(given.get("adapter_names", values.get("adapter_names")), weights, adapter.name)
            )
        self._set_pipeline(owner, replace(pipeline, adapter=adapter))


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
