"""What the user decides about a manifest: which edition, with which licences, and who is held out.

The manifest is built from the workspace as often as one likes, so these are not in the recipe but in the manifest's own
file, where the report and the dataset card find them.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from crawler.catalog import CatalogEntry
from manifests.editions import parse_licenses
from manifests.options import Edition
from manifests.splits import SplitAssignment, assign_splits, parse_holdouts
from workspace.errors import UsageError

#: Key of the choices in the metadata of the manifest's file.
_KEY = b"community_forensics"


@dataclass(frozen=True)
class Choices:
    """As on the command line of cf-build-manifest."""

    edition: Edition = "full"
    license_allow: tuple[str, ...] = ()
    holdout: tuple[str, ...] = ()

    @classmethod
    def made(cls, edition: Edition, license_allow: Iterable[str], holdout: Iterable[str]) -> "Choices":
        """The choices, read and written in one way. Raises `UsageError` for what makes no sense."""
        allowed = tuple(license_allow)
        if allowed and edition != "public":
            raise UsageError("--license-allow chooses what the public edition has: add --edition public")
        licenses = parse_licenses(allowed).texts if edition == "public" else ()
        return cls(edition, licenses, tuple(str(one) for one in parse_holdouts(holdout)))

    def metadata(self) -> dict[bytes, bytes]:
        """For the schema of the manifest's file."""
        return {_KEY: json.dumps(asdict(self), sort_keys=True).encode()}

    def withheld(self, catalog: Iterable[CatalogEntry]) -> frozenset[str]:
        """The generators whose licences keep them out of the edition."""
        if self.edition == "full":
            return frozenset()
        licenses = parse_licenses(self.license_allow)
        return frozenset(entry.model_name for entry in catalog if not licenses.allow(entry))

    def division(
        self, catalog: Sequence[CatalogEntry], sampled: Collection[str], twins: Iterable[Collection[str]]
    ) -> SplitAssignment:
        """What becomes of the generators; see `splits.assign_splits`, of which it has the errors."""
        withheld = self.withheld(catalog)
        return SplitAssignment(
            assign_splits(catalog, set(sampled) - withheld, parse_holdouts(self.holdout), twins), withheld
        )


def read_choices(manifest: Path) -> Choices:
    """The choices a manifest was built with."""
    said: Any = json.loads((pq.read_schema(manifest).metadata or {}).get(_KEY) or Choices().metadata()[_KEY])
    return Choices(said["edition"], tuple(said["license_allow"]), tuple(said["holdout"]))
