"""The files of `generators/`: TOML files of the study's generators, and the adapters that call published code."""

import importlib.util
from pathlib import Path

from workspace.errors import UsageError


def shipped_folder(name: str) -> Path | None:
    """A folder of `generators/`; None where that is not installed."""
    found = importlib.util.find_spec("generators")
    places = found.submodule_search_locations if found is not None else None
    return Path(next(iter(places))) / name if places else None


def shipped(text: str) -> Path:
    """The TOML file at a path, or that of this name in `generators/manual`. Raises `UsageError`."""
    path = Path(text).expanduser()
    if path.suffix == ".toml" or path.exists():
        return path
    folder = shipped_folder("manual")
    names = sorted(file.stem for file in folder.glob("*.toml")) if folder is not None else []
    if folder is None or text not in names:
        there = f"; there are {', '.join(names)}" if names else ""
        raise UsageError(f"{text}: neither a TOML file nor one of generators/manual{there}")
    return folder / f"{text}.toml"
