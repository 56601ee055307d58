"""A look at a repository's files before any library opens them: what is refused by name, size or place.

The libraries refuse most lies by themselves, damaged headers and disguised pickles among them. Here is what they would
believe: files that lead out of the folder, to another generator's weights, and descriptions as large as weights.
"""

import json
from pathlib import Path
from typing import Any

from samplers.child.failures import GeneratorError, in_words

#: Bytes of a file that is no weights: the largest vocabularies have 35 MB, and reading one takes thirty times its size.
_LARGEST_DESCRIPTION = 100 * 10**6
_WEIGHTS = (".safetensors", ".bin")
#: With it, transformers takes the weights from wherever it says, and these for changes to them.
_ADAPTER = "adapter_config.json"


def check_files(folder: Path) -> None:
    """Raise `GeneratorError` (load-failed) for files that are not to be opened."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".py":
            raise GeneratorError("load-failed", f"the repository brings code of its own: {name}")
        if path.name == _ADAPTER:
            raise GeneratorError("load-failed", f"{name}: a part of it is an adapter to weights that lie elsewhere")
        if path.is_file() and path.suffix not in _WEIGHTS and path.stat().st_size > _LARGEST_DESCRIPTION:
            raise GeneratorError("load-failed", f"{name} has {path.stat().st_size} bytes, and holds no weights")
        if ".index." in path.name:
            _check_shards(path, name)


def _check_shards(path: Path, name: str) -> None:
    """The parts of a model lie beside their index: whatever else it names would be loaded as well."""
    try:
        shards: Any = set(json.loads(path.read_text(encoding="utf-8"))["weight_map"].values())
    except Exception as error:
        raise GeneratorError("load-failed", f"{name} is no index of weights: {in_words(error)}") from error
    for shard in shards:
        if not isinstance(shard, str) or Path(shard).name != shard:
            raise GeneratorError("load-failed", f"{name} names {str(shard)[:100]!r}, which is not beside it")
