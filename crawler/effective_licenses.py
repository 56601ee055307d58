"""The licence in effect: the strictest of a model's own and those of the models it is made from.

A LoRA under MIT on a base that forbids commercial use makes images that must not be used commercially: what is made
from a model inherits its terms. The licences of ancestors come from their rows in the catalogue; where an adapter's
base or a decoder's prior has no row, from its card, which was read together with the adapter's.
"""

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from crawler.card.licenses import FAMILIES, License, license_of, strictest
from crawler.catalog import CatalogEntry

#: What the chain says of a model whose card was not read.
NOT_READ = "not in this catalogue"
_NONE = "none given"


def effective_license(models: Iterable[tuple[str, License | None]]) -> dict[str, Any]:
    """The three columns, from the licences of a model and its ancestors by name, nearest first; None: not read."""
    chain = [*models]
    decisive = strictest(license_ for _, license_ in chain if license_ is not None)
    return {
        "license_effective": None if decisive is None or decisive.license is None else _shown(decisive),
        "license_family_effective": "unknown" if decisive is None else decisive.license_family,
        "license_chain": tuple(f"{name}: {NOT_READ if one is None else _shown(one)}" for name, one in chain),
    }


def with_effective_licenses(entries: Sequence[CatalogEntry]) -> list[CatalogEntry]:
    """The entries with the licence in effect, given the lineage of each and the rows of all."""
    rows = {entry.model_name: entry for entry in entries}
    return [replace(entry, **effective_license(_models(entry, rows))) for entry in entries]


def _models(entry: CatalogEntry, rows: Mapping[str, CatalogEntry]) -> Iterator[tuple[str, License | None]]:
    yield entry.model_name, _own(entry)
    others = [name for name in (entry.prior_model,) if name is not None and name not in entry.lineage]
    for name in (*entry.lineage, *others):
        yield name, _own(rows[name]) if name in rows else _read_before(entry, name)


def _own(entry: CatalogEntry) -> License:
    return License(entry.license, entry.license_source, entry.license_family, entry.license_name, entry.license_link)


def _read_before(entry: CatalogEntry, model_name: str) -> License | None:
    """The licence that the row's inspection found for a model without a row."""
    told = (line.removeprefix(f"{model_name}: ") for line in entry.license_chain if line.startswith(f"{model_name}: "))
    shown = next(told, NOT_READ)
    if shown == NOT_READ:
        return None
    stated = [_identifiers().get(text, text) for text in shown.split(" AND ")]
    return license_of({} if shown == _NONE else {"license": stated}, ())


@functools.cache
def _identifiers() -> dict[str | None, str]:
    """The Hub's identifier of each licence that is shown by its SPDX id."""
    return {license_of({"license": identifier}, ()).license: identifier for identifier in FAMILIES}


def _shown(license_: License) -> str:
    """Its SPDX id or identifier, or the name that its author gives it."""
    if license_.license is None:
        return _NONE
    return license_.license_name if license_.license == "other" and license_.license_name else license_.license
