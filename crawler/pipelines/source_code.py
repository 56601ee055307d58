"""Installed packages read as text: what they offer, where a class is defined, what it inherits.

Importing diffusers to ask it about one pipeline class loads torch and takes half a gigabyte and seconds; a crawl, which
never touches a tensor, asks about dozens. Its source says the same, and is there wherever it is installed. What is
read follows diffusers' conventions: `_import_structure` in a package's `__init__.py` names what it offers, in blocks
that are entered when the packages they need are there.
"""

import ast
import functools
import importlib.metadata
import operator
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.version import Version

from crawler.text import parse_python

#: What an expression comes to that only running the module would tell.
UNKNOWN: Any = object()
# Expressions of these nodes run nothing of anybody's.
_PLAIN = (ast.Constant, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop, ast.List, ast.Tuple, ast.expr_context)
# Packages that are called otherwise than diffusers' question whether they are there.
_PACKAGES = {"opencv": "cv2"}
_COMPARISONS: dict[str, Callable[[Version, Version], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
}
#: Parsed modules that are kept: a class's bases are mostly in the files of its neighbours, and a tree takes megabytes.
_KEPT_TREES = 16


@dataclass(frozen=True)
class Argument:
    """A parameter of a method."""

    name: str
    annotation: str
    required: bool
    default: Any
    """`UNKNOWN` where there is none, or none that is plain to see."""


@dataclass(frozen=True)
class MethodSource:
    """A method as its module defines it."""

    node: ast.FunctionDef
    module: "ModuleSource"

    @property
    def documentation(self) -> str:
        """Its docstring; empty where there is none."""
        return ast.get_docstring(self.node, clean=False) or ""

    def arguments(self) -> list[Argument]:
        """The parameters that have a name, but `self`."""
        every = self.node.args
        named = [*every.posonlyargs, *every.args]
        defaults = [*[None] * (len(named) - len(every.defaults)), *every.defaults, *every.kw_defaults]
        return [
            Argument(
                name=argument.arg,
                annotation=ast.unparse(argument.annotation) if argument.annotation is not None else "",
                required=default is None,
                default=self.module.value(default) if default is not None else UNKNOWN,
            )
            for argument, default in zip([*named, *every.kwonlyargs], defaults, strict=True)
            if argument.arg != "self"
        ]


@dataclass(frozen=True)
class ClassSource:
    """A class as its module defines it."""

    node: ast.ClassDef
    module: "ModuleSource"

    def lineage(self) -> Iterator["ClassSource"]:
        """The class and what it inherits, nearest first, as far as its own package defines it."""
        yield self
        for base in self.node.bases:
            found = self.module.class_named(base.id) if isinstance(base, ast.Name) else None
            if found is not None:
                yield from found.lineage()

    def method(self, name: str) -> MethodSource | None:
        """The method that an instance has under that name."""
        for cls in self.lineage():
            for statement in cls.node.body:
                if isinstance(statement, ast.FunctionDef) and statement.name == name:
                    return MethodSource(statement, cls.module)
        return None

    def attribute(self, name: str) -> Any:
        """The value that the class has under that name; `UNKNOWN` where there is none that is plain to see."""
        for cls in self.lineage():
            assigned = _assigned(cls.node.body, name)
            if assigned is not None:
                return cls.module.value(assigned)
        return UNKNOWN

    def fields(self) -> list[str]:
        """The fields of a dataclass, in order."""
        own = [
            statement.target.id
            for statement in self.node.body
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
        ]
        inherited = [field for cls in list(self.lineage())[1:] for field in cls.fields()]
        return [*dict.fromkeys([*inherited, *own])]


@dataclass(frozen=True)
class ModuleSource:
    """A module as it is written."""

    path: Path
    tree: ast.Module

    def class_named(self, name: str) -> ClassSource | None:
        """The class that `name` means in this module: defined here, or imported from its package."""
        classes, _ = self._names
        if name in classes:
            return ClassSource(classes[name], self)
        imported = self._imported(name)
        return class_in(*imported) if imported is not None else None

    def value(self, expression: ast.expr) -> Any:
        """What an expression of literals, arithmetic and the module's constants comes to; `UNKNOWN` for others."""
        if isinstance(expression, ast.Name):
            return self._constant(expression.id)
        if not all(isinstance(node, _PLAIN) for node in ast.walk(expression)):
            return UNKNOWN
        return eval(compile(ast.Expression(expression), str(self.path), "eval"), {"__builtins__": {}})

    def _constant(self, name: str) -> Any:
        assigned = _assigned(self.tree.body, name)
        if assigned is not None:
            return self.value(assigned)
        imported = self._imported(name)
        module = module_at(imported[0]) if imported is not None else None
        return module._constant(imported[1]) if module is not None and imported is not None else UNKNOWN

    def _imported(self, name: str) -> tuple[Path, str] | None:
        """Where an import takes `name` from, a folder or a file without its suffix, and what it is called there."""
        _, imports = self._names
        if name not in imports:
            return None
        node, original = imports[name]
        place = self._place(node)
        return (place, original) if place is not None else None

    @functools.cached_property
    def _names(self) -> tuple[dict[str, ast.ClassDef], dict[str, tuple[ast.ImportFrom, str]]]:
        """The classes that the module defines; and the names that it imports, each with its import and the name there.

        Of several with one name, the first. Walking the whole tree for every name took half of the time of `describe`.
        """
        classes: dict[str, ast.ClassDef] = {}
        imports: dict[str, tuple[ast.ImportFrom, str]] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ClassDef):
                classes.setdefault(node.name, node)
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    imports.setdefault(alias.asname or alias.name, (node, alias.name))
        return classes, imports

    def takes_from(self, package: str, name: str) -> bool:
        """Whether the module imports `name` from another package, by that name."""
        return any(
            node.module == package and not node.level and any(alias.name == name for alias in node.names)
            for node in ast.walk(self.tree)
            if isinstance(node, ast.ImportFrom)
        )

    def _place(self, node: ast.ImportFrom) -> Path | None:
        parts = (node.module or "").split(".")
        if node.level:
            return self.path.parents[node.level - 1].joinpath(*parts)
        package = folder_of(parts[0])
        return package.joinpath(*parts[1:]) if package is not None and package in self.path.parents else None


@functools.cache
def folder_of(package: str) -> Path | None:
    """The folder of an installed package; None where there is none."""
    # Not importlib.util.find_spec, which asks a module that another thread is just importing.
    for finder in sys.meta_path:
        found = finder.find_spec(package, None)
        if found is not None:
            return Path(found.origin).parent if found.origin else None
    return None


def class_in(place: Path, name: str) -> ClassSource | None:
    """The class of that name below a folder, or in the module `place`.py; None where there is none."""
    if place.is_dir():
        path = _definitions(place).get(name)
        return _parsed(path).class_named(name) if path is not None else None
    module = module_at(place)
    return module.class_named(name) if module is not None else None


def module_at(place: Path) -> ModuleSource | None:
    """The module `place`.py; None where there is none."""
    path = place.with_name(f"{place.name}.py")
    return _parsed(path) if path.is_file() else None


@functools.cache
def offered_by(package: Path) -> frozenset[str]:
    """The names that the `__init__.py` in a package's folder offers here, with what is installed."""
    return frozenset(_offered(_parsed(package / "__init__.py").tree.body))


def _offered(statements: Iterable[ast.stmt]) -> Iterator[str]:
    for statement in statements:
        if isinstance(statement, ast.Try):
            yield from _offered(statement.orelse if _is_entered(statement) else ())
        elif isinstance(statement, ast.Assign | ast.Expr) and "_import_structure" in ast.unparse(statement):
            # `_import_structure[...] = [...]`, `.extend([...])` and `.append(...)`
            lists = [node for node in ast.walk(statement) if isinstance(node, ast.List | ast.Call)]
            texts = [text for node in lists for text in (node.elts if isinstance(node, ast.List) else node.args)]
            yield from (text.value for text in texts if isinstance(text, ast.Constant) and isinstance(text.value, str))


def _is_entered(block: ast.Try) -> bool:
    """Whether the `else` of `try: if not (...): raise OptionalDependencyNotAvailable()` is reached."""
    return not any(isinstance(statement, ast.If) and _holds(statement.test) for statement in block.body)


def _holds(test: ast.expr) -> bool:
    """What a question such as `not (is_torch_available() and is_transformers_version(">=", "5.0"))` comes to."""
    if isinstance(test, ast.BoolOp):
        return (all if isinstance(test.op, ast.And) else any)(_holds(value) for value in test.values)
    if isinstance(test, ast.UnaryOp):
        return not _holds(test.operand)
    if isinstance(test, ast.Call) and isinstance(test.func, ast.Name):
        question = re.fullmatch(r"is_(\w+)_(available|version)", test.func.id)
        if question is not None:
            package = _PACKAGES.get(question[1], question[1])
            return _is_installed(package, *(ast.literal_eval(argument) for argument in test.args))
    return False


def _is_installed(package: str, comparison: str = "", version: str = "") -> bool:
    if folder_of(package) is None:
        return False
    compare = _COMPARISONS.get(comparison)
    return compare is None or compare(Version(importlib.metadata.version(package)), Version(version))


def _assigned(statements: Iterable[ast.stmt], name: str) -> ast.expr | None:
    for statement in statements:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                return statement.value
    return None


@functools.cache
def _definitions(folder: Path) -> dict[str, Path]:
    """Where each class below a folder is defined; of several of one name, the first by path."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.py")):
        for name in re.findall(rb"^class (\w+)", path.read_bytes(), re.MULTILINE):
            found.setdefault(name.decode(), path)
    return found


@functools.lru_cache(maxsize=_KEPT_TREES)
def _parsed(path: Path) -> ModuleSource:
    return ModuleSource(path, parse_python(path.read_bytes()))
