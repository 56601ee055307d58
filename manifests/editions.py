"""Editions: which generators and real images a dataset has, depending on whom it is for.

`full` has everything, for those who sampled it. `public` may be passed on: it has the generators whose licences are
allowed, and of the real images those whose makers let them be passed on. The others are a list with their sha256, by
which whoever has the real data set completes the edition (`restoring`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import get_args

from crawler.catalog import CatalogEntry, LicenseFamily
from manifests.options import DEFAULT_LICENSES
from workspace.errors import UsageError

#: How one allows generators whose authors said nothing of a licence.
NO_LICENSE = "none"

_FAMILY = "family="


@dataclass(frozen=True)
class AllowedLicenses:
    """Licences that generators of the public edition may have."""

    texts: tuple[str, ...] = DEFAULT_LICENSES

    def allow(self, entry: CatalogEntry) -> bool:
        """Whether a generator may be in it. Licences are compared in lower case; where one is `other`, the name that
        its author gave it counts as well."""
        said = {name.lower() for name in (entry.license, entry.license_name) if name is not None} or {NO_LICENSE}
        return bool(said & set(self.texts)) or f"{_FAMILY}{entry.license_family}" in self.texts


def parse_licenses(texts: Iterable[str]) -> AllowedLicenses:
    """Read licences, each an identifier, `none` or family=NAME, separated by commas; nothing given: the usual ones.

    Raises `UsageError` for a family that is none.
    """
    read = tuple(sorted({text.strip().lower() for several in texts for text in several.split(",")} - {""}))
    for text in read:
        family = text.removeprefix(_FAMILY)
        if text.startswith(_FAMILY) and family not in get_args(LicenseFamily):
            raise UsageError(
                f"--license-allow {text}: the families are {', '.join(get_args(LicenseFamily))}; "
                "a licence is named as cards name it, such as mit or creativeml-openrail-m"
            )
    return AllowedLicenses(read) if read else AllowedLicenses()
