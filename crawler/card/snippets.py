"""The Python snippets of a model card: how its author samples the model. They are parsed, never run.

A small interpreter follows assignments of literals, dictionaries and pipelines in order and finds the calls of
pipelines. All settings come from one call, the first that has a setting. Calls that do not generate a whole image from
text are skipped: those with an input image, priors and refiners, and halves of a run (`denoising_end`). If a pipeline
is loaded from the card's own repository, calls of other pipelines are skipped, because they show another model, such as
the base. A name that depends on a loop, a branch or a function's caller has no value; a parameter with a default has
that value.
"""

import ast
import itertools
import math
import re
import textwrap
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from crawler.card.document import Document
from crawler.text import Plain, parse_python, without_surrogates
from workspace.repo_id import is_repo_id

#: Languages that authors name for Python; most name none.
_PYTHON = frozenset({"", "py", "py3", "python", "python3", "pycon", "ipython", "ipython3"})
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
# Arguments that the sampler sets: prompts, seeds, batches, and the type of the result.
_SAMPLER_ARGUMENTS = frozenset(
    {
        "generator",
        "num_images_per_prompt",
        "batch_size",
        "output_type",
        "return_dict",
        "class_labels",
        "image",
        "images",
    }
)
#: Lines of a snippet with syntax errors, such as a shell command, that are skipped at most.
MAX_SYNTAX_ERRORS = 3

#: Characters of a snippet, and snippets of a card, at most; real cards have far fewer.
MAX_SNIPPET = 50_000
MAX_SNIPPETS = 100


@dataclass(frozen=True)
class Usage:
    """How the snippets of a card sample its model."""

    #: Literal keyword arguments of the pipeline's call.
    arguments: Mapping[str, Plain] = field(default_factory=dict)
    #: Scheduler class that is set before the call.
    scheduler: str | None = None
    #: Literal keyword arguments of that scheduler: of its constructor, from_config or from_pretrained.
    scheduler_config: Mapping[str, Plain] = field(default_factory=dict)
    #: Scale of the LoRA: of fuse_lora, set_adapters, or cross_attention_kwargs.
    adapter_scale: float | None = None
    #: `weight_name` of load_lora_weights or load_textual_inversion, with its subfolder.
    weight_name: str | None = None
    #: Repository id of the pipeline that the adapter is loaded into.
    base_model: str | None = None
    #: The file of embeddings that are loaded beside the LoRA (pivotal tuning).
    embedding_file: str | None = None
    #: `token` of load_textual_inversion, in order.
    tokens: tuple[str, ...] = ()
    #: Names of settings whose values cannot be read.
    unread: tuple[str, ...] = ()

    @property
    def token(self) -> str | None:
        """The first token."""
        return self.tokens[0] if self.tokens else None


def read_usage(document: Document, model_name: str, parameters: Collection[str]) -> Usage:
    """How the card of `model_name` samples it; `parameters` are those of its pipeline's call.

    Never raises: a snippet that is not Python is skipped.
    """
    reader = _Interpreter(model_name, frozenset(parameters))
    for source in _snippets(document):
        try:
            reader.visit(_parse(source))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
    own = [call for call in reader.calls if call.own]
    calls = own or [call for call in reader.calls if not (call.foreign and reader.own_pipeline)]
    setting = (call for call in calls if any(map(is_setting, call.arguments)))
    best = next(setting, calls[0] if calls else _Call(False, False, {}, None))
    return Usage(
        best.arguments,
        best.scheduler,
        weight_name=reader.weight_name,
        tokens=(reader.token,) if reader.token is not None else (),
    )


def is_setting(name: str) -> bool:
    """Whether an argument is a hyperparameter; the sampler sets the others itself."""
    return name not in _SAMPLER_ARGUMENTS and not name.startswith("prompt")


def _parse(source: str) -> ast.Module:
    """The syntax tree of a snippet, without up to `MAX_SYNTAX_ERRORS` wrong lines; raises as `ast.parse`."""
    lines = source.splitlines()
    for _ in range(MAX_SYNTAX_ERRORS):
        try:
            return parse_python("\n".join(lines))
        except SyntaxError as error:
            if error.lineno is None or not 1 <= error.lineno <= len(lines):
                raise
            lines[error.lineno - 1] = ""
    return parse_python("\n".join(lines))


def _snippets(document: Document) -> Iterator[str]:
    sources = (block.source for block in document.code() if block.language in _PYTHON)
    for source in itertools.islice((source for source in sources if len(source) <= MAX_SNIPPET), MAX_SNIPPETS):
        lines = textwrap.dedent(source).splitlines()
        if any(line.startswith(">>> ") for line in lines):
            lines = [line[4:] for line in lines if line.startswith((">>> ", "... "))]
        # Notebook commands are not Python; an empty line keeps the line numbers.
        yield "\n".join("" if line.lstrip().startswith(("!", "%", "pip install ")) else line for line in lines)


@dataclass
class _Pipeline:
    class_name: str
    own: bool
    scheduler: str | None
    #: Whether it is loaded from the repository of another model.
    foreign: bool = False


@dataclass(frozen=True)
class _Scheduler:
    class_name: str


@dataclass(frozen=True)
class _OwnFile:
    """A file of the card's own repository."""

    path: str


@dataclass(frozen=True)
class _Call:
    own: bool
    foreign: bool
    arguments: dict[str, Plain]
    scheduler: str | None


class _Unknown:
    """A value that is not a literal."""


class _Interpreter(ast.NodeVisitor):
    """Follows the statements of a card's snippets in order; names are kept from one snippet to the next."""

    def __init__(self, model_name: str, parameters: frozenset[str]) -> None:
        self.calls: list[_Call] = []
        self.weight_name: str | None = None
        self.token: str | None = None
        # Whether any pipeline was loaded from the card's repository, or with its adapter.
        self.own_pipeline = False
        self._model_name = model_name
        self._parameters = parameters
        self._names: dict[str, Any] = {}
        # Whether anything was loaded from the card's repository, even one component for another pipeline.
        self._own_seen = False

    def visit_Constant(self, node: ast.Constant) -> None:
        self._own_seen = self._own_seen or self._is_own(node.value)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        outside = dict(self._names)
        arguments = node.args
        for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
            self._names[argument.arg] = _Unknown()
        positional = [*arguments.posonlyargs, *arguments.args]
        defaults = [
            *zip(reversed(positional), reversed(arguments.defaults), strict=False),
            *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
        ]
        for argument, default in defaults:
            if default is not None:
                self._names[argument.arg] = self._value(default)
        self.generic_visit(node)
        self._names = outside

    def visit_If(self, node: ast.If) -> None:
        self.visit(node.test)
        before = dict(self._names)
        for statement in node.body:
            self.visit(statement)
        then, self._names = self._names, dict(before)
        for statement in node.orelse:
            self.visit(statement)
        for name, value in then.items():
            if name not in self._names or self._names[name] != value:
                self._names[name] = value if name not in before and not node.orelse else _Unknown()

    def visit_For(self, node: ast.For) -> None:
        self._set_unknown(node.target)
        self.generic_visit(node)

    def visit_ListComp(self, node: ast.ListComp) -> None:
        for loop in node.generators:
            self._set_unknown(loop.target)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._set_unknown(node.target)
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit_Assign(ast.Assign(targets=[node.target], value=node.value))

    def _set_unknown(self, target: ast.expr) -> None:
        for name in (part.id for part in ast.walk(target) if isinstance(part, ast.Name)):
            self._names[name] = _Unknown()

    def _is_own(self, source: Any) -> bool:
        """Whether a text names the card's repository, or a copy of it under another owner."""
        if not isinstance(source, str):
            return False
        owner, slash, name = source.rpartition("/")
        own = self._model_name.rpartition("/")[2].lower()
        return source == self._model_name or bool(slash and "/" not in owner and name.lower() == own)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        value = self._value(node.value)
        for target in node.targets:
            if isinstance(target, ast.Name):
                self._names[target.id] = value
            elif isinstance(target, ast.Attribute) and target.attr == "scheduler" and isinstance(value, _Scheduler):
                pipeline = self._value(target.value)
                if isinstance(pipeline, _Pipeline):
                    pipeline.scheduler = value.class_name

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        function = node.func
        if isinstance(function, ast.Attribute) and function.attr in ("load_lora_weights", "load_textual_inversion"):
            self._load_adapter(node, self._value(function.value))
            return
        pipeline, name = self._value(function), function.id if isinstance(function, ast.Name) else ""
        if isinstance(pipeline, _Unknown) and name.startswith("pipe"):
            pipeline = _Pipeline("", own=False, scheduler=None)
        given = {keyword.arg for keyword in node.keywords}
        if (
            isinstance(pipeline, _Pipeline)
            and not _OTHER_TASK.search(f"{pipeline.class_name} {name}")
            and not given & _PARTIAL_ARGUMENTS
            and (pipeline.own or not pipeline.foreign or self._own_seen)
        ):
            arguments = {name: value for name, value in self._keywords(node).items() if name in self._parameters}
            self.calls.append(_Call(pipeline.own, pipeline.foreign, arguments, pipeline.scheduler))

    def _load_adapter(self, node: ast.Call, pipeline: Any) -> None:
        source = self._value(node.args[0]) if node.args else None
        if isinstance(source, _OwnFile):
            self.weight_name = self.weight_name or source.path
        elif not self._is_own(source):
            return
        if isinstance(pipeline, _Pipeline):
            pipeline.own = self.own_pipeline = True
        given = self._keywords(node)
        weight_name, token = given.get("weight_name"), given.get("token")
        if self.weight_name is None and isinstance(weight_name, str):
            self.weight_name = weight_name
        if self.token is None and isinstance(token, str):
            self.token = token

    def _keywords(self, node: ast.Call) -> dict[str, Plain]:
        """The keyword arguments with literal values; `**settings` is unpacked."""
        found: dict[str, Any] = {}
        for keyword in node.keywords:
            value = self._value(keyword.value)
            if keyword.arg is None:
                found |= value if isinstance(value, dict) else {}
            else:
                found[keyword.arg] = value
        return {name: value for name, value in found.items() if _is_plain(value)}

    def _value(self, node: ast.expr) -> Any:
        """The value of an expression, or `_Unknown`."""
        match node:
            case ast.Constant(value=str(text)):
                return without_surrogates(text)
            case ast.Constant(value=bool() | int() | float() | None as value):
                return value
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
                return -value
            case ast.Name(id=name):
                return self._names.get(name, _Unknown())
            case ast.List(elts=items) | ast.Tuple(elts=items):
                # Scalars only: nested lists could grow exponentially in a few lines.
                values = [self._value(item) for item in items]
                return values if all(_is_scalar(value) for value in values) else _Unknown()
            case ast.Dict(keys=keys, values=values):
                return {
                    key.value: self._value(value)
                    for key, value in zip(keys, values, strict=True)
                    if isinstance(key, ast.Constant) and isinstance(key.value, str)
                }
            case ast.Call(func=ast.Name(id="dict"), args=[]):
                return self._keywords(node)
            case ast.Call(func=ast.Name(id="hf_hub_download")):
                return self._download(node)
            case ast.Call(func=ast.Name(id=name)) if name.endswith("Scheduler"):
                return _Scheduler(name)
            case ast.Call(func=ast.Attribute(value=owner, attr=method)):
                return self._method(node, owner, method)
        return _Unknown()

    def _download(self, node: ast.Call) -> Any:
        given = dict(zip(("repo_id", "filename"), map(self._value, node.args), strict=False)) | self._keywords(node)
        path = given.get("filename")
        return _OwnFile(path) if self._is_own(given.get("repo_id")) and isinstance(path, str) else _Unknown()

    def _method(self, node: ast.Call, owner: ast.expr, method: str) -> Any:
        class_name = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
        if method in ("from_pretrained", "from_config", "from_single_file"):
            if class_name.endswith("Scheduler"):
                return _Scheduler(class_name)
            if "Pipeline" not in class_name:
                return _Unknown()
            given = {keyword.arg: self._value(keyword.value) for keyword in node.keywords}
            source = self._value(node.args[0]) if node.args else given.get("pretrained_model_name_or_path")
            scheduler = given.get("scheduler")
            chosen = scheduler.class_name if isinstance(scheduler, _Scheduler) else None
            own = self._is_own(source)
            self.own_pipeline = self.own_pipeline or own
            foreign = isinstance(source, str) and "/" in source and is_repo_id(source)
            return _Pipeline(class_name, own=own, scheduler=chosen, foreign=foreign and not own)
        if method == "from_pipe" and "Pipeline" in class_name:
            pipeline = self._value(node.args[0]) if node.args else None
            return replace(pipeline, class_name=class_name) if isinstance(pipeline, _Pipeline) else _Unknown()
        value = self._value(owner)
        return value if isinstance(value, _Pipeline) and method in ("to", "cuda", "half") else _Unknown()


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, list) or _is_scalar(value)


def _is_scalar(value: Any) -> bool:
    return isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value))
