"""Which packages are installed, and the tests on them in the source of diffusers.

diffusers defines a class only where the packages that it needs are installed; what is not is named, so that a reader of
the catalogue can install it. On a machine that only crawls there is no torch: another one samples, and has what the
extra `sample` installs.
"""

import ast
import functools
import importlib.metadata
import operator
import re
import sys
from collections.abc import Callable
from pathlib import Path

from packaging.version import Version

from workspace.extras import packages_of

# Packages with another name than in diffusers' `is_..._available`.
_MODULES = {"opencv": "cv2"}
_COMPARISONS: dict[str, Callable[[Version, Version], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
}
_TEST = re.compile(r"is_(\w+)_(available|version)")


@functools.cache
def package_folder(package: str) -> Path | None:
    """The folder of an installed package; None: it is not installed."""
    # importlib.util.find_spec fails for a module that another thread is importing.
    for finder in sys.meta_path:
        found = finder.find_spec(package, None)
        if found is not None:
            return Path(found.origin).parent if found.origin else None
    return None


def is_installed(package: str, comparison: str = "", version: str = "") -> bool:
    """Whether sampling has a package, in a version that compares so with `version`."""
    if package_folder(_MODULES.get(package, package)) is None:
        return package in _elsewhere()
    compare = _COMPARISONS.get(comparison)
    return compare is None or compare(Version(importlib.metadata.version(package)), Version(version))


def unmet(test: ast.expr) -> frozenset[str]:
    """The missing packages because of which a test such as `not (is_torch_available() and is_scipy_available())` is
    true; empty: it is false."""
    if not is_true(test):
        return frozenset()
    calls = (node for node in ast.walk(test) if isinstance(node, ast.Call))
    return frozenset(package for call in calls if not is_true(call) and (package := asked_package(call)))


def asked_package(test: ast.expr) -> str | None:
    """The package that `is_..._available()` asks for; None for another expression."""
    match = _TEST.fullmatch(test.func.id) if isinstance(test, ast.Call) and isinstance(test.func, ast.Name) else None
    return match[1] if match is not None else None


def is_true(test: ast.expr) -> bool:
    """The value of a test such as `not (is_torch_available() and is_transformers_version(">=", "5.0"))`."""
    if isinstance(test, ast.BoolOp):
        return (all if isinstance(test.op, ast.And) else any)(is_true(value) for value in test.values)
    if isinstance(test, ast.UnaryOp):
        return not is_true(test.operand)
    package = asked_package(test)
    if package is None or not isinstance(test, ast.Call):
        return False
    return is_installed(package, *(ast.literal_eval(argument) for argument in test.args))


@functools.cache
def _elsewhere() -> frozenset[str]:
    return frozenset() if package_folder("torch") is not None else frozenset(packages_of("sample"))
