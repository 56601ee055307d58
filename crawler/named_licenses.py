"""Licences that options name, and which generators have one of them.

A text is a licence as cards or as SPDX write it (mit, GPL-3.0-only), `none` for generators without one, or
family=NAME. What counts is the licence in effect (`effective_licenses`): that of the base model where it is stricter.
"""

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import get_args

from crawler.card.licenses import FAMILIES, SPDX, license_of
from crawler.catalog import CatalogEntry, LicenseFamily
from workspace.errors import UsageError

#: The text that names generators without a stated licence.
NO_LICENSE = "none"

_FAMILY = "family="
#: Between the licences of a card that names several (crawler/card/licenses.py).
_AND = " AND "

# Cards write the Hub's identifier, the catalogue has the SPDX id.
_HUB_NAMES = {spdx.lower(): identifier for identifier, spdx in SPDX.items()}


@dataclass(frozen=True)
class NamedLicenses:
    """Licences and families of them, in lower case and in order."""

    texts: tuple[str, ...]
    option: str = "--license-allow"
    """The option that names them."""

    @classmethod
    def parse(cls, texts: Iterable[str], option: str, bare_families: bool = False) -> "NamedLicenses":
        """Read licences, separated by commas. `bare_families`: the name of a family is one without family=, too.

        Raises `UsageError` for an unknown family.
        """
        families = get_args(LicenseFamily)
        found = {text.strip().lower() for several in texts for text in several.split(",")} - {""}
        for text in sorted(found):
            if text.startswith(_FAMILY) and text.removeprefix(_FAMILY) not in families:
                raise UsageError(
                    f"{option} {text}: the families are {', '.join(families)}; "
                    "a licence has the name that cards use, such as mit or creativeml-openrail-m"
                )
        if bare_families:
            found = {f"{_FAMILY}{text}" if text in families else text for text in found}
        return cls(tuple(sorted(found)), option)

    def cover(self, entry: CatalogEntry) -> bool:
        """Whether the licence in effect of a generator is one of them. Where its own is `other`, the name that its
        author gave it counts as well."""
        own = entry.license_name if entry.license == "other" and entry.license_name else entry.license
        names = (entry.license, own) if entry.license_effective == own else (entry.license_effective,)
        stated = set(_spellings(names)) or {NO_LICENSE}
        return bool(stated & set(self.texts)) or f"{_FAMILY}{entry.license_family_effective}" in self.texts

    def cover_part(self, entry: CatalogEntry) -> bool:
        """Whether one of the licences in effect is one of them, where a card names several."""
        parts = (entry.license_effective or "").split(_AND)
        families = (license_of({"license": _hub_name(part)}, ()).license_family for part in parts if len(parts) > 1)
        named = {*_spellings(parts), *(f"{_FAMILY}{family}" for family in families)}
        return self.cover(entry) or bool(named & set(self.texts))

    def check(self, catalog: Iterable[CatalogEntry]) -> None:
        """Raise `UsageError` for a licence that is none: no generator has it, and it is not known."""
        of_catalog = {
            name for entry in catalog for name in (entry.license, entry.license_name, entry.license_effective)
        }
        families = {f"{_FAMILY}{family}" for family in get_args(LicenseFamily)}
        known = {*_spellings([*of_catalog, *FAMILIES, *SPDX.values()]), NO_LICENSE, *families}
        for text in self.texts:
            if text not in known:
                like = difflib.get_close_matches(text, sorted(known), n=1, cutoff=0.5)
                meant = f"did you mean {like[0]}?" if like else "a licence has the name that cards use, such as mit"
                raise UsageError(f"{self.option} {text}: no generator of the catalogue has this licence; {meant}")


def _spellings(names: Iterable[str | None]) -> Iterator[str]:
    """The names of licences in lower case, and what cards call those that the catalogue has under another name."""
    for name in names:
        if name is not None:
            yield name.lower()
            yield _hub_name(name)


def _hub_name(name: str) -> str:
    """What cards call a licence that the catalogue has under another name."""
    return _HUB_NAMES.get(name.lower(), name.lower())
