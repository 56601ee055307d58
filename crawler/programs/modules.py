"""What a Python module's function takes, read from its text: nothing of it is run here."""

import ast
from pathlib import Path

from crawler.catalog import Task
from workspace.errors import UsageError, in_one_line

#: The inputs that a function must take for each task.
_NEEDED: dict[Task, tuple[str, ...]] = {
    "unconditional": ("seeds",),
    "class-conditional": ("seeds", "classes"),
    "text-to-image": ("seeds", "prompts"),
}
_INPUTS = ("seeds", "classes", "prompts", "folder", "device")
#: The settings whose arguments have other names: one for each prompt.
_SETTINGS = {"negative_prompts": "negative_prompt"}
#: A module's bytes at most.
_MOST = 4 << 20


def settings_of_function(module: Path, function: str, task: Task) -> tuple[str, ...]:
    """The settings that a module's function takes, by the names of the catalogue.

    Raises `UsageError` where the module has no such function at its top, or where that lacks the task's inputs.
    """
    try:
        content = module.read_bytes()
        if len(content) > _MOST:
            raise UsageError(f"{module} has {len(content):,} bytes: a module has {_MOST:,} at most")
        tree = ast.parse(content, str(module))
    except OSError as error:
        raise UsageError(f"{module} cannot be read: {error.strerror or error}") from error
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UsageError(f"{module} is no Python module: {in_one_line(error)}") from error
    defined = [one for one in tree.body if isinstance(one, ast.FunctionDef) and one.name == function]
    if not defined:
        raise UsageError(f"{module} defines no function {function}(seeds, ...)")
    arguments = defined[-1].args
    names = [one.arg for one in (*arguments.args, *arguments.kwonlyargs)]
    missing = [name for name in _NEEDED[task] if name not in names]
    if missing:
        raise UsageError(
            f"{module}: its function {function} takes no {', '.join(missing)}: a {task} generator needs it"
        )
    return tuple(_SETTINGS.get(name, name) for name in names if name not in _INPUTS)
