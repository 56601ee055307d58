"""Values of expressions in a snippet, as far as they can be followed without running anything."""

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

from crawler.card.values import (
    MAX_KEYS,
    MAX_SIZE,
    UNKNOWN,
    ClassName,
    Names,
    OwnFile,
    Pipeline,
    Scheduler,
    is_number,
    is_scalar,
    size_of,
)
from workspace.printable import printable
from workspace.repo_id import is_repo_id

#: Work on one card: nodes of syntax trees that are looked at, and values that are copied or compared, sixteen of which
#: count as a node. Real cards have a few thousand.
MAX_WORK = 60_000
#: Characters of a text that is put together, and items of a list.
MAX_TEXT, MAX_ITEMS = 10_000, 1000
#: Largest result of arithmetic.
MAX_NUMBER = 1e9

_ARITHMETIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}
# Arguments of from_config and from_pretrained that choose a file.
_LOADING = frozenset(
    {"subfolder", "revision", "variant", "torch_dtype", "cache_dir", "token", "use_auth_token", "local_files_only"}
    | {"force_download", "resume_download", "proxies", "mirror", "return_unused_kwargs", "return_commit_hash"}
    | {"pretrained_model_name_or_path", "config"}
)
# Expressions that make a value; others name one.
_MAKING = (ast.List, ast.Tuple, ast.Dict, ast.Call, ast.BinOp, ast.IfExp)
_SAME_PIPELINE = frozenset({"to", "cuda", "half", "float", "bfloat16", "eval"})
# Functions that open a file and give what is in it.
_OPENS_FILE = frozenset({"load_file", "load", "load_state_dict", "str", "Path"})
_HUB = ("https://huggingface.co/", "https://hf.co/")


class TooLongError(Exception):
    """More code than is read."""


class Expressions:
    """Evaluates expressions with the names of a card's snippets."""

    def __init__(self, model_name: str) -> None:
        self.names = Names(self.count)
        # Whether any pipeline was loaded from the card's repository, or with its adapter.
        self.own_pipeline = False
        self._model_name = model_name
        self._work = 0

    def count(self, work: int = 1) -> None:
        """Count nodes; raises `TooLongError` beyond `MAX_WORK`."""
        self._work += work
        if self._work > MAX_WORK:
            raise TooLongError

    def is_own(self, source: Any) -> bool:
        """Whether a text names the card's repository, or a copy of it under another owner."""
        if not isinstance(source, str):
            return False
        owner, slash, name = source.rpartition("/")
        own = self._model_name.rpartition("/")[2].lower()
        return source == self._model_name or bool(slash and "/" not in owner and name.lower() == own)

    def file_of(self, source: Any) -> OwnFile | None:
        """The file that `source` names in the card's repository; without a path where only that is named."""
        if isinstance(source, OwnFile):
            return source
        if isinstance(source, str) and source.startswith(_HUB):
            parts = source.split("/", 7)[3:]
            if len(parts) == 5 and self.is_own("/".join(parts[:2])):
                return OwnFile(parts[4].partition("?")[0])
            return OwnFile(None) if len(parts) == 2 and self.is_own("/".join(parts)) else None
        return OwnFile(None) if self.is_own(source) else None

    def value(self, node: ast.expr) -> Any:
        """The value of an expression, or `UNKNOWN`; one that is too large is unknown."""
        self.count()
        value = self._value(node)
        return self.limited(value) if isinstance(node, _MAKING) else value

    def limited(self, value: Any) -> Any:
        """A value that was made; one that is too large is unknown."""
        size = size_of(value)
        self.count(size // 16)
        return value if size <= MAX_SIZE else UNKNOWN

    def _value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=str(text)):
                return printable(text)
            case ast.Constant(value=bool() | int() | float() | None as value):
                return value
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                value = self.value(operand)
                return -value if is_number(value) else UNKNOWN
            case ast.Name(id=name):
                return self.names[name] if name in self.names or not _is_class(name) else ClassName(name)
            case ast.Attribute():
                return self._attribute(node)
            case ast.List(elts=items) | ast.Tuple(elts=items):
                # Scalars only: nested lists could grow exponentially in a few lines.
                values = [self.value(item) for item in items[: MAX_ITEMS + 1]]
                return values if len(values) <= MAX_ITEMS and all(map(is_scalar, values)) else UNKNOWN
            case ast.Dict(keys=keys, values=items):
                return self._dictionary(keys, items)
            case ast.Subscript(value=owner, slice=index):
                return self._item(self.value(owner), self.value(index))
            case ast.BinOp(left=left, op=op, right=right):
                return _combined(op, self.value(left), self.value(right))
            case ast.JoinedStr(values=parts):
                return self._joined(parts)
            case ast.NamedExpr(value=inner) | ast.Await(value=inner):
                return self.value(inner)
            case ast.IfExp(body=one, orelse=other):
                first, second = self.value(one), self.value(other)
                return first if type(first) is type(second) and first == second else UNKNOWN
            case ast.Call():
                return self._call(node)
        return UNKNOWN

    def _dictionary(self, keys: list[ast.expr | None], items: list[ast.expr]) -> Any:
        """A dictionary. Its key None stands for entries that are unknown; a scheduler's configuration can be there."""
        found: dict[Any, Any] = {}
        for key, item in zip(keys, items, strict=True):
            value = self.value(item)
            if key is None:
                found = _updated(found, value)
            else:
                name = self.value(key)
                found[name if is_scalar(name) else None] = value
            if len(found) > MAX_KEYS:
                return UNKNOWN
        return found

    def keywords(self, node: ast.Call) -> dict[str, Any]:
        """The keyword arguments, unknown ones too; `**settings` is unpacked as far as it is known."""
        found: dict[str, Any] = {}
        for keyword in node.keywords:
            if keyword.arg is not None:
                found[keyword.arg] = self.value(keyword.value)
            else:
                value = self.value(keyword.value)
                if isinstance(value, dict):
                    self.count(len(value) // 16)
                    found |= {name: value[name] for name in value if isinstance(name, str)}
        return found

    def _attribute(self, node: ast.Attribute) -> Any:
        path = path_of(node)
        if path is not None and path in self.names:
            return self.names[path]
        if _is_class(node.attr):
            return ClassName(node.attr)
        owner = self.value(node.value)
        if isinstance(owner, Pipeline) and node.attr == "scheduler":
            return owner.scheduler or Scheduler()
        if isinstance(owner, Scheduler) and node.attr in ("config", "__class__"):
            return owner if node.attr == "config" else ClassName(owner.class_name or "")
        return UNKNOWN

    def _item(self, owner: Any, index: Any) -> Any:
        if isinstance(owner, OwnFile):
            return owner
        if isinstance(owner, dict) and is_scalar(index):
            return owner.get(index, UNKNOWN)
        if isinstance(owner, list) and isinstance(index, int) and -len(owner) <= index < len(owner):
            return owner[index]
        return UNKNOWN

    def _joined(self, parts: list[ast.expr]) -> Any:
        texts = []
        for part in parts:
            plain_part = isinstance(part, ast.FormattedValue) and part.format_spec is None and part.conversion == -1
            value = self.value(part.value if isinstance(part, ast.FormattedValue) else part)
            if not isinstance(value, str | int) or not (plain_part or isinstance(part, ast.Constant)):
                return UNKNOWN
            texts.append(str(value))
        return _limited("".join(texts))

    def _call(self, node: ast.Call) -> Any:
        function = node.func
        if isinstance(function, ast.Name) and function.id == "type" and len(node.args) == 1:
            scheduler = self.value(node.args[0])
            return ClassName(scheduler.class_name or "") if isinstance(scheduler, Scheduler) else UNKNOWN
        if isinstance(function, ast.Name) and function.id == "dict":
            found: dict[Any, Any] = {}
            for arg in node.args:
                found = _updated(found, self.value(arg))
            return found | self.keywords(node)
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        if name == "hf_hub_download":
            return self._download(node)
        if name in _OPENS_FILE and node.args:
            opened = self.value(node.args[0])
            return opened if isinstance(opened, OwnFile) else UNKNOWN
        called = self.value(function)
        if isinstance(called, ClassName):
            return self._made(called.name, node)
        return self._method(node, function) if isinstance(function, ast.Attribute) else UNKNOWN

    def _made(self, class_name: str, node: ast.Call) -> Any:
        """What a constructor makes."""
        given = self.keywords(node)
        if class_name.endswith("Scheduler"):
            return Scheduler(class_name, given if not node.args else given | {"": UNKNOWN}, constructed=True)
        return Pipeline(class_name, scheduler=_scheduler_in(given)) if "Pipeline" in class_name else UNKNOWN

    def _download(self, node: ast.Call) -> Any:
        given = dict(zip(("repo_id", "filename"), map(self.value, node.args), strict=False)) | self.keywords(node)
        path = given.get("filename")
        if not self.is_own(given.get("repo_id")):
            return UNKNOWN
        return OwnFile(_in_folder(given.get("subfolder"), path))

    def _method(self, node: ast.Call, function: ast.Attribute) -> Any:
        method, owner = function.attr, self.value(function.value)
        if method in ("from_pretrained", "from_config", "from_single_file"):
            if isinstance(owner, Scheduler):
                return self._loaded_scheduler(owner.class_name or "", node)
            if isinstance(owner, ClassName) and (not owner.name or owner.name.endswith("Scheduler")):
                return self._loaded_scheduler(owner.name, node)
            if isinstance(owner, ClassName) and "Pipeline" in owner.name:
                return self._loaded_pipeline(owner.name, node)
            return UNKNOWN
        if method == "from_pipe" and isinstance(owner, ClassName) and "Pipeline" in owner.name:
            pipeline = self.value(node.args[0]) if node.args else self.keywords(node).get("pipeline")
            return self._from_pipe(owner.name, pipeline)
        if isinstance(owner, Pipeline):
            return owner if method in _SAME_PIPELINE else UNKNOWN
        if isinstance(owner, str) and method == "strip" and not node.args:
            return owner.strip()
        if isinstance(owner, dict) and method == "copy":
            return owner
        if isinstance(owner, dict) and method == "get" and node.args:
            return self._item(owner, self.value(node.args[0]))
        return UNKNOWN

    def _from_pipe(self, class_name: str, pipeline: Any) -> Any:
        if not isinstance(pipeline, Pipeline):
            return UNKNOWN
        return Pipeline(class_name, pipeline.own, pipeline.source, pipeline.scheduler, pipeline.adapter)

    def _loaded_scheduler(self, class_name: str, node: ast.Call) -> Scheduler:
        """Its settings: those of the configuration that it is made from, and the keyword arguments."""
        given = self.keywords(node)
        config = self.value(node.args[0]) if node.args else given.get("config")
        inherited: Mapping[Any, Any] = {}
        whole = config.get(None) if isinstance(config, dict) else config
        if isinstance(config, Scheduler):
            inherited = config.settings
        elif isinstance(config, dict):
            known = {name: value for name, value in config.items() if isinstance(name, str)}
            inherited = {**(whole.settings if isinstance(whole, Scheduler) else {}), **known}
        given = {name: value for name, value in given.items() if name not in _LOADING}
        constructed = isinstance(whole, Scheduler) and whole.constructed
        return Scheduler(class_name or None, {**inherited, **given}, constructed)

    def _loaded_pipeline(self, class_name: str, node: ast.Call) -> Pipeline:
        given = self.keywords(node)
        source = self.value(node.args[0]) if node.args else given.get("pretrained_model_name_or_path")
        own = self.file_of(source) is not None
        self.own_pipeline = self.own_pipeline or own
        foreign = not own and isinstance(source, str) and "/" in source and is_repo_id(source)
        return Pipeline(class_name, own, source if foreign else None, _scheduler_in(given))


def path_of(node: ast.expr) -> str | None:
    """The dotted name of a variable or attribute, such as `self.pipe`; None for other expressions."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute) and len(parts) < 5:
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else None


def _in_folder(folder: Any, path: Any) -> str | None:
    if not isinstance(path, str):
        return None
    return f"{folder}/{path}" if isinstance(folder, str) and folder else path


def _scheduler_in(given: Mapping[str, Any]) -> Any:
    """The scheduler that a pipeline is given; None: it is given none."""
    scheduler = given.get("scheduler")
    return scheduler if scheduler is None or isinstance(scheduler, Scheduler) else UNKNOWN


def _is_class(name: str) -> bool:
    return name[:1].isupper() and (name.endswith("Scheduler") or "Pipeline" in name)


def _updated(found: dict[Any, Any], value: Any) -> dict[Any, Any]:
    """A dictionary after an update; one that is unknown can change every entry."""
    return found | value if isinstance(value, dict) else {**dict.fromkeys(found, UNKNOWN), None: value}


def _combined(op: ast.operator, left: Any, right: Any) -> Any:
    if isinstance(left, dict) and isinstance(right, dict) and isinstance(op, ast.BitOr):
        return left | right if len(left) + len(right) <= MAX_KEYS else UNKNOWN
    if isinstance(left, str) and isinstance(right, str) and isinstance(op, ast.Add):
        return _limited(left + right)
    function = _ARITHMETIC.get(type(op))
    if function is None or not is_number(left) or not is_number(right):
        return UNKNOWN
    if abs(left) > MAX_NUMBER or abs(right) > MAX_NUMBER or (right == 0 and isinstance(op, ast.Div | ast.FloorDiv)):
        return UNKNOWN
    return function(left, right)


def _limited(text: str) -> Any:
    return text if len(text) <= MAX_TEXT else UNKNOWN
