"""A small interpreter of a card's Python snippets: it follows statements in order and finds the calls of pipelines.

Nothing is run. A name that depends on a loop, a branch or a function's caller has no value; a parameter with a default
has that value. A value that cannot be followed is unknown, never the former value of that name.
"""

import ast
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from crawler.card.calls import Calls
from crawler.card.expressions import Expressions, path_of
from crawler.card.values import MAX_KEYS, UNKNOWN, ClassName, Pipeline, Scheduler, is_scalar

# Methods of lists and dictionaries that leave them as they are.
_READING_METHODS = frozenset({"get", "items", "keys", "values", "copy", "index", "count"})


class Interpreter:
    """Follows the statements of a card's snippets in order; names are kept from one snippet to the next.

    Raises `crawler.card.expressions.TooLongError` when a card has more code than is read.
    """

    def __init__(self, model_name: str, parameters: frozenset[str]) -> None:
        self.values = Expressions(model_name)
        self.calls = Calls(self.values, parameters)
        self._names = self.values.names
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
        self.calls.own_seen = self.calls.own_seen or self.values.file_of(node.value) is not None

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
            key = self.values.value(target.slice)
            self._update(target.value, {key: value} if is_scalar(key) else None)
        elif isinstance(target, ast.Attribute) and target.attr == "scheduler":
            pipeline = self.calls.pipeline(target.value)
            if pipeline is not None:
                scheduler = value if isinstance(value, Scheduler) else UNKNOWN
                self.calls.set_pipeline(target.value, replace(pipeline, scheduler=scheduler))
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
        known = isinstance(value, dict) and entries is not None
        self._names[path] = self.values.limited(value | entries) if known and len(value) < MAX_KEYS else UNKNOWN

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
        if isinstance(node.func, ast.Attribute):
            self._method(node, node.func)
        self.calls.follow(node)

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
