"""Roots: the folders of real images on this machine, by the name of their source.

    root://coco/val2017/000000000139.jpg        a locator below the root of the source coco
    root://laion/00000.tar#000000012.jpg

A prompt and a row of the manifest say where an image is below the root of its source, and `roots.toml` in the workspace
says where that root is on this machine. So a workspace that was made on one machine is read on another one, where the
photographs are elsewhere, by changing a line: `cf-caption --root NAME=PATH`. It is no part of the recipe: it changes no
row.

It also says where the files of local generators are, by name and revision; a name of a source has no slash:

    coco = "/data/coco"
    "local/my-model@6ce0161689b3" = "/data/checkpoints/my-model.safetensors"
"""

import errno
import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

import tomli_w

from workspace.atomic import write_bytes
from workspace.containers import HUB
from workspace.errors import UsageError
from workspace.exclusive import alone
from workspace.layout import Workspace, generator_name
from workspace.process_folder import SILENT_SECONDS

ROOT = "root://"
#: Seconds to wait for another process that writes the file: longer than one that died on another host counts as alive.
_LOCK_SECONDS = 2 * SILENT_SECONDS


def root_locator(name: str, path: str) -> str:
    """The locator of what has this path below the root of a source."""
    return f"{ROOT}{name}/{path}"


def split_root(locator: str) -> tuple[str, str] | None:
    """The name of the root and the path below it; None: the locator is none below a root."""
    name, slash, path = locator.removeprefix(ROOT).partition("/")
    return (name, path) if slash and locator.startswith(ROOT) else None


def read_roots(workspace: Workspace) -> dict[str, str]:
    """The folder of each root; none before captioning. Raises `UsageError` for a file that is damaged."""
    return {name: folder for name, folder in _read(workspace).items() if "/" not in name}


def place_name(model_name: str, revision: str) -> str:
    """The name that a local generator has in the file."""
    return generator_name(model_name, revision, further_revision=True)


def read_places(workspace: Workspace) -> dict[str, Path]:
    """The folder, or the file, of each local generator by `place_name`. Raises `UsageError` as `read_roots`."""
    return {name: Path(place) for name, place in _read(workspace).items() if "/" in name}


def _read(workspace: Workspace) -> dict[str, str]:
    try:
        roots = tomllib.loads(workspace.roots.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{workspace.roots} is not TOML ({error}): correct it, or remove it and name the folders of "
            "the real images and local generators again (`cf-caption --root NAME=PATH`, `cf-crawl --from FILE`)"
        ) from error
    return {name: folder for name, folder in roots.items() if isinstance(folder, str)}


def record_roots(workspace: Workspace, roots: Mapping[str, Path]) -> dict[str, str]:
    """Record where roots are on this machine; returns where those were that moved.

    Raises `UsageError` for a folder whose name is not UTF-8.
    """
    wanted = {name: str(folder) for name, folder in sorted(roots.items())}
    for name, folder in wanted.items():
        if not _is_utf8(folder):
            raise UsageError(f"the folder of {name}, {os.fsencode(folder)!r}, has a name that is not UTF-8: rename it")
    if not wanted.items() - _read(workspace).items():
        return {}
    # Several shards may start at once; without a lock two writers could lose each other's line.
    with alone(workspace, "roots", _LOCK_SECONDS):
        former = _read(workspace)
        write_bytes(workspace.roots, tomli_w.dumps(dict(sorted({**former, **wanted}.items()))).encode())
    return {name: former[name] for name, folder in wanted.items() if former.get(name, folder) != folder}


def forget_roots(workspace: Workspace, is_gone: Callable[[str], bool]) -> None:
    """Forget the roots whose names are gone."""
    known = _read(workspace)
    if any(map(is_gone, known)):
        kept = {name: place for name, place in known.items() if not is_gone(name)}
        write_bytes(workspace.roots, tomli_w.dumps(kept).encode())


def located(workspace: Workspace, locator: str, roots: Mapping[str, str]) -> str:
    """A locator of the workspace as one of this machine: an absolute path, or one on the Hub.

    Raises `FileNotFoundError` where the root is not known here.
    """
    below = split_root(locator)
    if below is None:
        return locator if locator.startswith(HUB) else str(workspace.root / locator)
    name, path = below
    if name not in roots:
        raise FileNotFoundError(
            errno.ENOENT, f"the folder of {name} is not known: `cf-caption --root {name}=PATH`", locator
        )
    return f"{roots[name]}/{path}"


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
