"""Editions: which generators and real images a dataset contains, depending on its readers.

`full` contains everything, for the people who sampled it. `public` may be passed on: it contains the generators whose
licences are allowed, and of the real images those that may be passed on. The other real images are in a list with
their sha256, so that readers who have the real data set can complete the edition (`restoring`).
"""

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import get_args

from crawler.card.licenses import FAMILIES, SPDX
from crawler.catalog import CatalogEntry, LicenseFamily
from manifests.options import DEFAULT_LICENSES
from workspace.errors import UsageError

#: The text that allows generators without a stated licence.
NO_LICENSE = "none"

_FAMILY = "family="

# Cards write the Hub's identifier, the catalogue has the SPDX id.
_HUB_NAMES = {spdx.lower(): identifier for identifier, spdx in SPDX.items()}


@dataclass(frozen=True)
class AllowedLicenses:
    """Licences that the generators of a public edition may have."""

    texts: tuple[str, ...] = DEFAULT_LICENSES

    def allow(self, entry: CatalogEntry) -> bool:
        """Whether the edition may contain a generator, by its licence in effect: that of its base model, if it is
        stricter. Licences are compared in lower case; where its own is `other`, the name that its author gave it counts
        as well."""
        own = entry.license_name if entry.license == "other" and entry.license_name else entry.license
        names = (entry.license, own) if entry.license_effective == own else (entry.license_effective,)
        stated = set(_spellings(names)) or {NO_LICENSE}
        return bool(stated & set(self.texts)) or f"{_FAMILY}{entry.license_family_effective}" in self.texts

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
                raise UsageError(f"--license-allow {text}: no generator of the catalogue has this licence; {meant}")


def _spellings(names: Iterable[str | None]) -> Iterator[str]:
    """The names of licences in lower case, and what cards call those that the catalogue has under another name."""
    for name in names:
        if name is not None:
            yield name.lower()
            yield _HUB_NAMES.get(name.lower(), name.lower())


def parse_licenses(texts: Iterable[str]) -> AllowedLicenses:
    """Read licences, each an identifier, `none` or family=NAME, separated by commas; none given: `DEFAULT_LICENSES`.

    Raises `UsageError` for an unknown family.
    """
    licenses = tuple(sorted({text.strip().lower() for several in texts for text in several.split(",")} - {""}))
    for text in licenses:
        family = text.removeprefix(_FAMILY)
        if text.startswith(_FAMILY) and family not in get_args(LicenseFamily):
            raise UsageError(
                f"--license-allow {text}: the families are {', '.join(get_args(LicenseFamily))}; "
                "a licence has the name that cards use, such as mit or creativeml-openrail-m"
            )
    return AllowedLicenses(licenses) if licenses else AllowedLicenses()
