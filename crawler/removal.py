"""The catalogue without what was removed from the workspace: neither its rows, nor its name in the rows of others.

Fine-tunes and adapters name the model that they were made from. Where that one was removed they name its pseudonym
(`workspace/removed.py`), the same in every row: so the splits still know that they are related. An adapter cannot be
loaded without its base, nor a decoder without its prior, so they are not sampled any more; what they made stays.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from crawler.catalog import CatalogEntry
from crawler.effective_licenses import NOT_READ
from crawler.reasons import Reason
from workspace.removed import Removals, is_pseudonym

#: Columns with the names of other models, as text or as a list of texts. No setting is among them: it would change
#: images.
_TEXTS = ("base_model", "prior_model", "license_link", "architecture_evidence", "reason_detail")
_LISTS = ("lineage", "license_chain", "tags", "unread_settings")


def without_removed(entries: Iterable[CatalogEntry], removals: Removals) -> list[CatalogEntry]:
    """The rows of what was not removed, without the names of what was."""
    kept = (entry for entry in entries if removals.generator(entry.model_name, entry.revision) is None)
    return [with_hidden_names(entry, removals) for entry in kept]


def with_hidden_names(entry: CatalogEntry, removals: Removals) -> CatalogEntry:
    """A row without the names of removed generators; incompatible where one of them would be loaded for it."""
    texts: dict[str, str | None] = {name: getattr(entry, name) for name in _TEXTS}
    hidden: dict[str, Any] = {name: removals.hidden(text) for name, text in texts.items() if text is not None}
    hidden |= {name: tuple(map(removals.hidden, getattr(entry, name))) for name in _LISTS}
    changed = {name: value for name, value in hidden.items() if value != getattr(entry, name)}
    if not changed:
        return entry
    entry = replace(entry, **changed)
    without_base = bool(entry.base_files) and is_pseudonym(entry.base_model or "")
    without_prior = is_pseudonym(entry.prior_model or "")
    if not without_base and not without_prior:
        return entry
    if without_base:
        entry = replace(entry, base_revision=None, base_files=())
    if without_prior:
        entry = replace(entry, prior_revision=None, prior_files=())
    which = "base model" if without_base else "prior"
    return replace(
        entry,
        download_bytes=sum(file.size for file in entry.all_files),
        status="incompatible",
        reason=Reason.BASE_REMOVED.value,
        reason_detail=f"its {which} was removed from this workspace (`cf-remove`)",
    )


def with_former_ancestors(entries: Sequence[CatalogEntry], before: Mapping[str, CatalogEntry]) -> list[CatalogEntry]:
    """The rows with what is known of removed ancestors, whose own rows tell it no more: the ancestors beyond, as the
    rows `before` had them, by the generator's name, and the licences, as any row has them."""
    licences = {name: line for line in _chains((*before.values(), *entries)) for name in (line.partition(": ")[0],)}
    completed = []
    for entry in entries:
        if any(map(is_pseudonym, entry.lineage)):
            former = before.get(entry.generator, entry)
            entry = replace(entry, lineage=tuple(dict.fromkeys((*entry.lineage, *former.lineage))))
            known = (licences[name] for name in entry.lineage if name in licences)
            entry = replace(entry, license_chain=tuple(dict.fromkeys((*known, *entry.license_chain))))
        completed.append(entry)
    return completed


def _chains(entries: Iterable[CatalogEntry]) -> Iterator[str]:
    """What the rows say of the licences of removed generators: PSEUDONYM: LICENCE."""
    for entry in entries:
        for line in entry.license_chain:
            name, _, licence = line.partition(": ")
            if is_pseudonym(name) and licence != NOT_READ:
                yield line
