"""Source code of installed packages: their public names, where a class is defined, what it inherits.

Importing diffusers for one pipeline class loads torch and takes seconds and half a gigabyte; a crawl, which uses no
tensor, needs dozens of classes. The source code has the same information. It is read by diffusers' conventions:
`_import_structure` in a package's `__init__.py` has its public names, in blocks that depend on installed packages.
"""

import ast
import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from crawler.pipelines.packages import asked_package, is_true, package_folder, unmet
from crawler.text import parse_python

#: The value of an expression that only running the module could give.
UNKNOWN: Any = object()
# Nodes of expressions that call nothing.
_LITERALS = (
    ast.Constant,
    ast.BinOp,
    ast.UnaryOp,
    ast.operator,
    ast.unaryop,
    ast.List,
    ast.Tuple,
    ast.expr_context,
)
#: The fields of a node that hold statements, or what holds statements itself: handlers and cases.
_BLOCKS = frozenset({"body", "handlers", "orelse", "finalbody", "cases"})
#: Parsed modules in the cache: the bases of a class are mostly in recently read files, and a tree takes megabytes.
_CACHED_MODULES = 16


@dataclass(frozen=True)
class Argument:
    """A parameter of a method."""

    name: str
    annotation: str
    required: bool
    default: Any
    """`UNKNOWN` if there is none, or none that is a literal."""


@dataclass(frozen=True)
class MethodSource:
    """A method in the source of its module."""

    node: ast.FunctionDef
    module: "ModuleSource"

    @property
    def documentation(self) -> str:
        """Its docstring; empty if it has none."""
        return ast.get_docstring(self.node, clean=False) or ""

    def arguments(self) -> list[Argument]:
        """The named parameters except `self`."""
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
    """A class in the source of its module."""

    node: ast.ClassDef
    module: "ModuleSource"

    def lineage(self) -> Iterator["ClassSource"]:
        """The class and the classes it inherits, nearest first, if its own package defines them."""
        yield self
        for base in self.node.bases:
            found = self.module.class_named(base.id) if isinstance(base, ast.Name) else None
            if found is not None:
                yield from found.lineage()

    def method(self, name: str) -> MethodSource | None:
        """The method of that name, own or inherited."""
        for cls in self.lineage():
            for statement in cls.node.body:
                if isinstance(statement, ast.FunctionDef) and statement.name == name:
                    return MethodSource(statement, cls.module)
        return None

    def attribute(self, name: str) -> Any:
        """The value of the class attribute of that name; `UNKNOWN` if there is none that is a literal."""
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
    """The source of a module."""

    path: Path
    tree: ast.Module

    def class_named(self, name: str) -> ClassSource | None:
        """The class of that name in this module: defined here, or imported from its own package."""
        node = self._statements[0].get(name)
        if node is not None:
            return ClassSource(node, self)
        imported = self._imported(name)
        return class_in(*imported) if imported is not None else None

    def value(self, expression: ast.expr) -> Any:
        """The value of an expression of literals, arithmetic and constants of the module; `UNKNOWN` for others."""
        if isinstance(expression, ast.Name):
            return self._constant(expression.id)
        if not all(isinstance(node, _LITERALS) for node in ast.walk(expression)):
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
        """Where `name` is imported from (a folder, or a file without its suffix), and its name there."""
        for node, alias in self._statements[1]:
            if (alias.asname or alias.name) == name:
                place = self._place(node)
                return (place, alias.name) if place is not None else None
        return None

    def imports_from(self, package: str, name: str) -> bool:
        """Whether the module imports `name` from another package."""
        return any(
            node.module == package and not node.level and alias.name == name for node, alias in self._statements[1]
        )

    def conditional_names(self) -> dict[str, frozenset[str]]:
        """The names that `if is_..._available():` defines only with packages that are not installed, and these."""
        found: dict[str, frozenset[str]] = {}
        for statement in self.tree.body:
            package = asked_package(statement.test) if isinstance(statement, ast.If) else None
            if package is None or not isinstance(statement, ast.If) or is_true(statement.test):
                continue
            for node in statement.body:
                if isinstance(node, ast.Import | ast.ImportFrom):
                    found |= {(alias.asname or alias.name): frozenset({package}) for alias in node.names}
        return found

    @cached_property
    def _statements(self) -> tuple[dict[str, ast.ClassDef], list[tuple[ast.ImportFrom, ast.alias]]]:
        """The classes by name and the imports of the module, from one pass over its tree, which takes long."""
        classes: dict[str, ast.ClassDef] = {}
        imports: list[tuple[ast.ImportFrom, ast.alias]] = []
        for node in _all_statements(self.tree):
            if isinstance(node, ast.ClassDef):
                classes.setdefault(node.name, node)
            elif isinstance(node, ast.ImportFrom):
                imports += [(node, alias) for alias in node.names]
        return classes, imports

    def _place(self, node: ast.ImportFrom) -> Path | None:
        parts = (node.module or "").split(".")
        if node.level:
            return self.path.parents[node.level - 1].joinpath(*parts)
        package = package_folder(parts[0])
        return package.joinpath(*parts[1:]) if package is not None and package in self.path.parents else None


def class_in(place: Path, name: str) -> ClassSource | None:
    """The class of that name below the folder `place`, or in the module `place`.py; None if there is none."""
    if place.is_dir():
        path = _definitions(place).get(name)
        return _parsed(path).class_named(name) if path is not None else None
    module = module_at(place)
    return module.class_named(name) if module is not None else None


def module_at(place: Path) -> ModuleSource | None:
    """The module `place`.py; None if there is none."""
    path = place.with_name(f"{place.name}.py")
    return _parsed(path) if path.is_file() else None


@functools.cache
def public_names(package: Path) -> frozenset[str]:
    """The public names in the `__init__.py` of a package's folder, given the installed packages."""
    return frozenset(name for name, missing in _names(_parsed(package / "__init__.py").tree.body) if not missing)


@functools.cache
def unavailable_names(package: Path) -> Mapping[str, frozenset[str]]:
    """The names that would be public with other packages, and these packages."""
    names = dict(_names(_parsed(package / "__init__.py").tree.body))
    return {name: missing for name, missing in names.items() if missing and name not in public_names(package)}


def _names(
    statements: Iterable[ast.stmt], missing: frozenset[str] = frozenset()
) -> Iterator[tuple[str, frozenset[str]]]:
    """The names that these statements make public, each with the missing packages without which it is not."""
    for statement in statements:
        if isinstance(statement, ast.Try):
            # `try: if not (...): raise OptionalDependencyNotAvailable()`, and the names are in its `else`.
            tests = (unmet(inner.test) for inner in statement.body if isinstance(inner, ast.If))
            yield from _names(statement.orelse, missing.union(*tests))
        elif isinstance(statement, ast.Assign | ast.Expr) and "_import_structure" in ast.unparse(statement):
            # `_import_structure[...] = [...]`, `.extend([...])` and `.append(...)`
            lists = [node for node in ast.walk(statement) if isinstance(node, ast.List | ast.Call)]
            texts = [text for node in lists for text in (node.elts if isinstance(node, ast.List) else node.args)]
            names = (text.value for text in texts if isinstance(text, ast.Constant) and isinstance(text.value, str))
            yield from ((name, missing) for name in names)


def _all_statements(tree: ast.Module) -> Iterator[ast.stmt]:
    """The statements of a module in the order of `ast.walk`, without expressions, which are nearly all its nodes."""
    level: list[ast.AST] = [tree]
    while level:
        blocks = [getattr(node, field, []) for node in level for field in node._fields if field in _BLOCKS]
        level = [node for block in blocks for node in block]
        yield from (node for node in level if isinstance(node, ast.stmt))


def _assigned(statements: Iterable[ast.stmt], name: str) -> ast.expr | None:
    for statement in statements:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                return statement.value
    return None


@functools.cache
def _definitions(folder: Path) -> dict[str, Path]:
    """The file of each class below a folder; of several with one name, the first by path."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.py")):
        for name in re.findall(rb"^class (\w+)", path.read_bytes(), re.MULTILINE):
            found.setdefault(name.decode(), path)
    return found


@functools.lru_cache(maxsize=_CACHED_MODULES)
def _parsed(path: Path) -> ModuleSource:
    return ModuleSource(path, parse_python(path.read_bytes()))
