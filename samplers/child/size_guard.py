"""Stops a model that its configuration makes larger than its weights.

A large number in a config.json costs nothing, and the model is built from it before any weight is compared: that may
take the machine's memory, or a day of creating layers. But each value of a model must come from its files, and takes at
least one byte there. So the size of the files limits what is built, and building stops beyond it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

#: How often a value may be counted: when its tensor is created, filled, and tied to another.
_REGISTRATIONS = 4
#: Values that need not be in a file.
_ALWAYS = 1_000_000


class OversizedModelError(Exception):
    """A configuration asks for more weights than its files can hold."""


@contextmanager
def size_guard(stored: int) -> Iterator[None]:
    """Raise `OversizedModelError` in the block that loads a model once the model is larger than files of `stored` bytes
    could fill."""
    from torch.nn.modules.module import register_module_parameter_registration_hook

    left = _REGISTRATIONS * stored + _ALWAYS

    def count(_module: Any, _name: str, parameter: Any) -> None:
        nonlocal left
        # A tensor without values takes time and memory too.
        left -= max(1, parameter.numel()) if parameter is not None else 0
        if left < 0:
            raise OversizedModelError(f"its config.json asks for more weights than its files can hold ({stored} bytes)")

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()
