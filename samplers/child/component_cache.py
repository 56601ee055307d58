"""Components that the next generator takes over from the last one instead of loading the same bytes again.

Fine-tunes differ in one model and share the others byte for byte. A component's identity is what it was made from:
the class, the content of every file of its folder, the precision and the variant; and the pipeline's class, because
a pipeline may adjust what it is given. Schedulers have a state and are never shared.

Whoever takes a component owns it; it comes back only from a generator that ended well, left its hands off it, and
whose component still bears the mark it was loaded with: layers, shapes, precision and edits of every tensor,
configuration, switches and hooks. So what an adapter, a shortage of memory or a failure may have touched is never
handed on. Before a generator is loaded, everything goes that it does not share: there is never more in memory than one
generator needs.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Identity:
    """What a component was made from; equal identities give equal components."""

    pipeline: str
    name: str
    made_of: tuple[str, str]
    """Library and class, as the repository names them."""
    files: tuple[tuple[str, str], ...]
    """Path within the component's folder, and hash of the content."""
    dtype: str
    variant: str | None


def identity_of(
    pipeline: str, name: str, made_of: tuple[str, str], hashes: Mapping[str, str], dtype: str, variant: str | None
) -> Identity | None:
    """The identity of the component in folder `name`; None where the content of its files is not known.

    `hashes` has a content's hash by its path in the pipeline's folder.
    """
    folder = f"{name}/"
    files = tuple(sorted((path.removeprefix(folder), key) for path, key in hashes.items() if path.startswith(folder)))
    return Identity(pipeline, name, made_of, files, dtype, variant) if files else None


@dataclass(frozen=True)
class ComponentHandle:
    """A component in use, with what is needed to hand it on."""

    identity: Identity
    component: Any
    mark: object
    """How it looked when it was loaded."""


class ComponentCache:
    """Where components lie between two generators."""

    def __init__(self) -> None:
        self._loans: dict[Identity, ComponentHandle] = {}

    def keep_only(self, wanted: Collection[Identity]) -> None:
        """Drop what the next generator does not share."""
        self._loans = {identity: handle for identity, handle in self._loans.items() if identity in wanted}

    def take(self, identity: Identity | None) -> ComponentHandle | None:
        """The component of that identity, which is then the caller's; None where there is none."""
        return None if identity is None else self._loans.pop(identity, None)

    def put_back(self, handles: Iterable[ComponentHandle]) -> None:
        """Lay down what is still as it was when it was loaded; forget the rest."""
        self._loans.update((handle.identity, handle) for handle in handles if mark_of(handle.component) == handle.mark)

    def clear(self) -> None:
        """Drop everything."""
        self._loans = {}


def can_be_shared(component: Any) -> bool:
    """Whether it is a model or a tokenizer: these have no state that one batch leaves to the next."""
    import torch
    from transformers import PreTrainedTokenizerBase

    return isinstance(component, torch.nn.Module | PreTrainedTokenizerBase)


def mark_of(component: Any) -> object:
    """How a component looks, to be compared with how it looks later.

    Not where its tensors lie: moving to another device, or to a higher precision and back, changes no value.
    """
    import torch

    if not isinstance(component, torch.nn.Module):
        return repr(component), len(component)
    tensors = (*component.named_parameters(), *component.named_buffers())
    return (
        # torch counts the changes that were made to a tensor in place.
        [(name, tensor.shape, tensor.dtype, tensor._version) for name, tensor in tensors],
        # By identity: Versatile Diffusion's constructor swaps layers between its models, and would swap them back.
        [(name, id(module), _is_hooked(module)) for name, module in component.named_modules()],
        {name: value for name, value in vars(component).items() if isinstance(value, bool | int | float | str)},
        str(getattr(component, "config", None)),
    )


def _is_hooked(module: Any) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks or hasattr(module, "_hf_hook"))
