"""Lineage: all known ancestors of a model.

A card names the models that it was made from; if these are in the catalogue, they name others in turn. People write
cards: a chain can end anywhere, and it can be a cycle.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from crawler.catalog import CatalogEntry
from crawler.hub.listing import ListedModel

# The Hub makes tags of a card's base_model: base_model:ORG/NAME and base_model:RELATION:ORG/NAME.
_TAG = "base_model:"
_RELATIONS = ("finetune:", "adapter:", "merge:", "quantized:")


def bases_in_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """The base models that the Hub's tags name, without duplicates."""
    named = [tag.removeprefix(_TAG) for tag in tags if tag.startswith(_TAG)]
    for relation in _RELATIONS:
        named = [name.removeprefix(relation) for name in named]
    return tuple(dict.fromkeys(named))


def bases_of_adapter(listed: ListedModel) -> tuple[str, ...]:
    """The base models of a listed adapter, by its tags; none for a checkpoint."""
    is_adapter = listed.kind != "checkpoint" or any(tag.startswith(f"{_TAG}adapter:") for tag in listed.tags)
    return bases_in_tags(listed.tags) if is_adapter else ()


def with_lineage(entries: Sequence[CatalogEntry]) -> list[CatalogEntry]:
    """The entries with their lineage: all known ancestors, nearest first, each under its present name."""
    present = _present_names(entries)
    renamed = [replace(entry, base_model=present.get(entry.base_model or "", entry.base_model)) for entry in entries]
    parents = {entry.model_name: tuple(_parents(entry, present)) for entry in renamed}
    return [replace(entry, lineage=tuple(_ancestors(entry.model_name, parents))) for entry in renamed]


def _present_names(entries: Iterable[CatalogEntry]) -> dict[str, str]:
    """The present names of renamed base models, by their former ones.

    The base of an adapter was opened, and its row has the name that the Hub answered; its tag has the author's.
    """
    opened = (entry for entry in entries if entry.base_revision is not None and entry.base_model is not None)
    named = ((bases_in_tags(entry.tags), entry.base_model) for entry in opened)
    return {names[0]: base for names, base in named if len(names) == 1 and base is not None and names[0] != base}


def _parents(entry: CatalogEntry, present: Mapping[str, str]) -> Iterator[str]:
    if entry.base_model is not None:
        yield entry.base_model
    names = (present.get(name, name) for name in bases_in_tags(entry.tags))
    yield from (name for name in names if name != entry.base_model)


def _ancestors(model_name: str, parents: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    seen, generation = {model_name}, [model_name]
    while generation:
        older = dict.fromkeys(parent for name in generation for parent in parents.get(name, ()))
        generation = [name for name in older if name not in seen]
        seen.update(generation)
        yield from generation
