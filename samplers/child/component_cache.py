"""Components that the next generator reuses from the previous one instead of loading the same bytes again.

Fine-tunes differ in one model and share the others byte for byte. A component's identity is what it was made from: the
class, the content of every file of its folder, the dtype and the variant; and the pipeline's class, because a pipeline
may change what it is given. Schedulers have a state and are never shared.

A component that is taken out belongs to its generator. It is put back only by a generator that ended well and did not
change it, and only if it still has the fingerprint it was loaded with: layers, shapes, dtypes and in-place changes of
every tensor, configuration, flags and hooks. So a component that an adapter, a shortage of memory or a failure may have
changed is never reused. Before a generator is loaded, everything is dropped that it does not share: there is never more
in memory than one generator needs.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Identity:
    """What a component was made from; equal identities give equal components."""

    pipeline: str
    name: str
    component_class: tuple[str, str]
    """Library and class, as the repository names them."""
    files: tuple[tuple[str, str], ...]
    """Path within the component's folder, and content key."""
    dtype: str
    variant: str | None


def identity_of(
    pipeline: str,
    name: str,
    component_class: tuple[str, str],
    hashes: Mapping[str, str],
    dtype: str,
    variant: str | None,
) -> Identity | None:
    """The identity of the component in folder `name`; None where the content of its files is unknown.

    `hashes` has the content keys by path in the pipeline's folder.
    """
    folder = f"{name}/"
    files = tuple(sorted((path.removeprefix(folder), key) for path, key in hashes.items() if path.startswith(folder)))
    return Identity(pipeline, name, component_class, files, dtype, variant) if files else None


@dataclass(frozen=True)
class ComponentHandle:
    """A component in use, with what is needed to reuse it."""

    identity: Identity
    component: Any
    fingerprint: object
    """Its fingerprint when it was loaded."""


class ComponentCache:
    """The components that wait for the next generator."""

    def __init__(self) -> None:
        self._handles: dict[Identity, ComponentHandle] = {}

    def keep_only(self, wanted: Collection[Identity]) -> None:
        """Drop what the next generator does not share."""
        self._handles = {identity: handle for identity, handle in self._handles.items() if identity in wanted}

    def take(self, identity: Identity | None) -> ComponentHandle | None:
        """Take out the component of that identity; None where there is none."""
        return None if identity is None else self._handles.pop(identity, None)

    def put_back(self, handles: Iterable[ComponentHandle]) -> None:
        """Put back the components that are unchanged since they were loaded; drop the others."""
        unchanged = (handle for handle in handles if fingerprint_of(handle.component) == handle.fingerprint)
        self._handles.update((handle.identity, handle) for handle in unchanged)

    def clear(self) -> None:
        """Drop everything."""
        self._handles = {}


def can_be_shared(component: Any) -> bool:
    """Whether it is a model or a tokenizer: these have no state that one batch leaves to the next."""
    import torch
    from transformers import PreTrainedTokenizerBase

    return isinstance(component, torch.nn.Module | PreTrainedTokenizerBase)


def fingerprint_of(component: Any) -> object:
    """A component's state, to be compared with its later state.

    Without the device of its tensors: moving them to another device, or to a higher precision and back, changes no
    value.
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
