"""The number that height and width must be multiples of, read from the source of a pipeline class.

Pipelines refuse other sizes (`if height % 8 != 0: raise`), or round them. The divisor is written in their methods: as a
number, or by the scale of the autoencoder, which `__init__` computes from its configuration, with a number for a
pipeline without one (`... if getattr(self, "vae", None) else 8`): that of the autoencoders that the class is made for.
A factor that only a configuration tells counts as 1. So what is found may be less than what a generator needs, and its
own size says where it is more.
"""

import ast
import functools
import math
from collections.abc import Iterator

from crawler.pipelines.source_code import ClassSource, MethodSource
from crawler.pipelines.traits import pipeline_class

_SIDES = frozenset({"height", "width"})
#: Expressions in expressions that are followed: those of diffusers need three.
_DEPTH = 10


@functools.cache
def size_multiple(class_name: str) -> int:
    """The number that height and width of this pipeline class must be multiples of; 1: none is known."""
    cls = pipeline_class(class_name)
    if cls is None:
        return 1
    return math.lcm(*(_number(cls, method, divisor, 0) for method, divisor in _divisors(cls)))


def _divisors(cls: ClassSource) -> Iterator[tuple[MethodSource, ast.expr]]:
    """What heights and widths are divided by, with a remainder, in the methods of a class, own and inherited."""
    seen: set[str] = set()
    for one in cls.lineage():
        own = [node for node in one.node.body if isinstance(node, ast.FunctionDef) and node.name not in seen]
        seen |= {node.name for node in own}
        for method in own:
            for node in ast.walk(method):
                if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod) and _is_side(node.left):
                    yield MethodSource(method, one.module), node.right


def _is_side(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in _SIDES


def _number(cls: ClassSource, method: MethodSource, node: ast.expr | None, depth: int) -> int:
    """The value of an expression; 1 for what only a configuration tells."""
    if depth > _DEPTH or node is None:
        return 1
    if isinstance(node, ast.Constant) and type(node.value) is int and node.value > 0:
        return node.value
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return _number(cls, method, node.left, depth + 1) * _number(cls, method, node.right, depth + 1)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) and isinstance(node.right, ast.Constant):
        base, power = _number(cls, method, node.left, depth + 1), node.right.value
        return base**power if isinstance(power, int) and 0 <= power <= 8 else 1
    if isinstance(node, ast.IfExp):
        return _number(cls, method, node.orelse, depth + 1)
    if isinstance(node, ast.Name):
        return _number(cls, method, _assigned(method.node, node.id), depth + 1)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
        constructor = cls.method("__init__")
        assigned = None if constructor is None else _assigned(constructor.node, f"self.{node.attr}")
        return 1 if constructor is None else _number(cls, constructor, assigned, depth + 1)
    return 1


def _assigned(method: ast.FunctionDef, target: str) -> ast.expr | None:
    """What a method assigns to a name or an attribute, the first time."""
    for node in ast.walk(method):
        if isinstance(node, ast.Assign) and any(ast.unparse(one) == target for one in node.targets):
            return node.value
    return None
