"""A model no larger than its weights: a configuration may ask for anything.

A number in a config.json costs nothing to write, and a model built by it, before any weight is compared, may take the
machine's memory, or a day of making layers. But each value of a model must come from its files, and takes a byte there
at least; so the size of the files bounds what is built, and building stops where that is exceeded.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

#: How often a value may be counted: when its tensor is made, filled, and tied to another.
_REGISTRATIONS = 4
#: Values that may be in no file, whatever its size.
_ALWAYS = 1_000_000


class OversizedModelError(Exception):
    """A configuration asks for more weights than there are."""


@contextmanager
def size_guard(folder: Path) -> Iterator[None]:
    """While the block loads a model from `folder`, stop it by a `OversizedModelError` once the model has become larger
    than the weights there could fill."""
    from torch.nn.modules.module import register_module_parameter_registration_hook

    stored = sum(path.stat().st_size for path in folder.iterdir() if path.suffix in (".safetensors", ".bin"))
    left = _REGISTRATIONS * stored + _ALWAYS

    def count(_module: Any, _name: str, parameter: Any) -> None:
        nonlocal left
        # A tensor without a value takes time and memory too.
        left -= max(1, parameter.numel()) if parameter is not None else 0
        if left < 0:
            raise OversizedModelError(f"its config.json asks for more weights than its {stored} bytes can hold")

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()
