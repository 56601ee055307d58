"""Files of weights, by their suffix."""

from pathlib import Path
from typing import Any

import torch


def one_file(folder: Path, pattern: str) -> Path:
    """The file of this pattern. Raises `FileNotFoundError` where there is none, or several."""
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise FileNotFoundError(f"one file {pattern} is needed, and there are {len(found)}: correct `files`")
    return found[0]


def weights(folder: Path, pattern: str, *, trusted: bool = False) -> Any:
    """What torch saved in that file; `trusted`: it has more than tensors, and is opened as a pickle."""
    return torch.load(one_file(folder, pattern), map_location="cpu", weights_only=not trusted)
