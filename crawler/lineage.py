"""Lineage: from which models a model was made, as far as the catalogue knows.

A card names the models it was made from; those are in the catalogue, or not, and name others in turn. Cards are
written by people: chains may end anywhere, and may bite their own tail.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from crawler.catalog import CatalogEntry
from crawler.hub.listing import Listed

# The Hub repeats a card's base_model as tags: base_model:ORG/NAME and base_model:<relation>:ORG/NAME.
_TAG = "base_model:"
_RELATIONS = ("finetune:", "adapter:", "merge:", "quantized:")


def tagged_bases(tags: Iterable[str]) -> tuple[str, ...]:
    """The models that the Hub's tags say a model was made from, each once."""
    named = [tag.removeprefix(_TAG) for tag in tags if tag.startswith(_TAG)]
    for relation in _RELATIONS:
        named = [name.removeprefix(relation) for name in named]
    return tuple(dict.fromkeys(named))


def adapted(listed: Listed) -> tuple[str, ...]:
    """The models that a listed adapter is made for, by its tags; none for a checkpoint."""
    is_adapter = listed.kind != "checkpoint" or any(tag.startswith(f"{_TAG}adapter:") for tag in listed.tags)
    return tagged_bases(listed.tags) if is_adapter else ()


def with_lineage(entries: Sequence[CatalogEntry]) -> list[CatalogEntry]:
    """The entries with all their known ancestors, nearest first."""
    parents = {entry.model_name: tuple(_parents(entry)) for entry in entries}
    return [replace(entry, lineage=tuple(_ancestors(entry.model_name, parents))) for entry in entries]


def _parents(entry: CatalogEntry) -> Iterator[str]:
    if entry.base_model is not None:
        yield entry.base_model
    yield from (name for name in tagged_bases(entry.tags) if name != entry.base_model)


def _ancestors(model_name: str, parents: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    seen, generation = {model_name}, [model_name]
    while generation:
        older = dict.fromkeys(parent for name in generation for parent in parents.get(name, ()))
        generation = [name for name in older if name not in seen]
        seen.update(generation)
        yield from generation
