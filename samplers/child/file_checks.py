"""Checks of a repository's files before any library opens them: by name, size and place.

The libraries refuse most invalid files themselves, damaged headers and disguised pickles among them. The checks here
cover what they would accept: files that lead out of the folder, to another generator's weights, and descriptions as
large as weights.
"""

import json
from pathlib import Path
from typing import Any

from samplers.child.failures import GeneratorError
from workspace.errors import in_one_line

#: Bytes of a file without weights: the largest vocabularies have 35 MB, and reading one takes thirty times its size.
_LARGEST_DESCRIPTION = 100 * 10**6
_WEIGHTS = (".safetensors", ".bin")
#: With this file, transformers takes the weights from the place that it names, and those beside it as changes to them.
_ADAPTER = "adapter_config.json"


def check_files(folder: Path) -> None:
    """Raise `GeneratorError` (load-failed) for files that must not be opened."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".py":
            raise GeneratorError("load-failed", f"the repository has code of its own: {name}")
        if path.name == _ADAPTER:
            raise GeneratorError("load-failed", f"{name}: this component is an adapter to weights in another place")
        if path.is_file() and path.suffix not in _WEIGHTS and path.stat().st_size > _LARGEST_DESCRIPTION:
            raise GeneratorError("load-failed", f"{name} has {path.stat().st_size} bytes, too many without weights")
        if ".index." in path.name:
            _check_shards(path, name)


def _check_shards(path: Path, name: str) -> None:
    """The weight shards of a model must be beside their index: any other file it names would be loaded as well."""
    try:
        shards: Any = set(json.loads(path.read_text(encoding="utf-8"))["weight_map"].values())
    except Exception as error:
        raise GeneratorError("load-failed", f"{name} is not an index of weights: {in_one_line(error)}") from error
    for shard in shards:
        if not isinstance(shard, str) or Path(shard).name != shard:
            raise GeneratorError("load-failed", f"{name} names {str(shard)[:100]!r}, which is not a file beside it")
