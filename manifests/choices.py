"""What the user chooses for a manifest: its edition, the licences in it, and who is in which split.

A manifest can be built from a workspace any number of times, so its choices are not in the recipe but in the manifest's
own file, where the report and the dataset card find them.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from crawler.catalog import CatalogEntry
from crawler.holdout import Holdouts
from crawler.named_licenses import NO_LICENSE
from manifests.editions import parse_licenses
from manifests.options import BuildOptions, Edition, Kin
from manifests.splits import SplitAssignment, assign_splits
from workspace.errors import UsageError

#: Key of the choices in the metadata of the manifest's file.
_KEY = b"community_forensics"


@dataclass(frozen=True)
class Choices:
    """The options of building that decide what is in the manifest."""

    edition: Edition
    license_allow: tuple[str, ...]
    holdout: tuple[str, ...]
    validation: tuple[str, ...] = ()
    kin: Kin = "separate"
    real_per_generated: float = BuildOptions.real_per_generated
    rounds: int = 1
    """The last round."""
    public_evaluation: bool = False

    @classmethod
    def of(cls, options: BuildOptions, sampled: Holdouts = Holdouts(), rounds: int = 1) -> "Choices":
        """The choices among the options, in normal form; `sampled` are held out where the options name none. `rounds`:
        the last round.

        Raises `UsageError` for an unknown licence family or an invalid holdout.
        """
        licenses = parse_licenses(options.license_allow).texts if options.edition == "public" else ()
        given = Holdouts.parse(options.holdout, options.validation)
        test, validation = given.test or sampled.test, given.validation or sampled.validation
        held = tuple(map(str, test)), tuple(map(str, validation))
        return cls(
            options.edition,
            licenses,
            *held,
            options.kin,
            float(options.real_per_generated),
            rounds,
            options.public_evaluation,
        )

    @property
    def holdouts(self) -> Holdouts:
        """The generators that are held out."""
        return Holdouts.parse(self.holdout, self.validation)

    def metadata(self) -> dict[bytes, bytes]:
        """For the schema of the manifest's file."""
        return {_KEY: json.dumps(asdict(self), sort_keys=True).encode()}

    def withheld(self, catalog: Iterable[CatalogEntry]) -> frozenset[str]:
        """The generators that the edition leaves out because of their licences."""
        if self.edition == "full":
            return frozenset()
        licenses = parse_licenses(self.license_allow)
        return frozenset(entry.generator for entry in catalog if not licenses.cover(entry))

    def check(self, catalog: Iterable[CatalogEntry]) -> None:
        """Raise `UsageError` for a licence that no generator has and that is not known: a typing error."""
        if self.edition == "public":
            parse_licenses(self.license_allow).check(catalog)

    def assign(
        self, catalog: Sequence[CatalogEntry], sampled: Collection[str], equal: Iterable[Collection[str]]
    ) -> SplitAssignment:
        """The split of each of the `sampled` generators; `equal` and errors as `splits.assign_splits`, and `UsageError`
        where the edition would have none of them."""
        withheld = self.withheld(catalog)
        present = set(sampled) - withheld
        if sampled and not present:
            licenses = Counter(entry.license_effective or NO_LICENSE for entry in catalog if entry.generator in sampled)
            named = ", ".join(f"{name} ({count})" for name, count in licenses.most_common(5))
            raise UsageError(
                f"--license-allow {','.join(self.license_allow)} allows no generator that was sampled; their licences "
                f"in effect are {named}"
            )
        return SplitAssignment(assign_splits(catalog, present, self.holdouts, equal, self.kin), withheld)


def read_choices(manifest: Path) -> Choices:
    """The choices a manifest was built with."""
    recorded = (pq.read_schema(manifest).metadata or {}).get(_KEY)
    if recorded is None:
        return Choices.of(BuildOptions())
    values: Any = json.loads(recorded)
    return Choices(
        values["edition"],
        tuple(values["license_allow"]),
        tuple(values["holdout"]),
        tuple(values.get("validation", ())),
        values.get("kin", "separate"),
        float(values["real_per_generated"]),
        int(values.get("rounds", 1)),
        bool(values.get("public_evaluation", False)),
    )
