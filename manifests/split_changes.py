"""What a round changes in the splits of earlier ones.

A generator of a later round that is held out may take related generators, and the captions that they share with it, out
of training. Rows that change their split are published anew, so it is said.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from manifests.choices import read_choices
from manifests.database import database, parquet_view
from manifests.manifest import ManifestRow, check_version
from workspace.errors import UsageError
from workspace.layout import Workspace
from workspace.number_text import counted

SplitChanges: TypeAlias = Mapping[tuple[str | None, str | None], int]
"""Rows by the split that they had, and the one that they have; None: none."""

_CHANGES = """
SELECT former.split, manifest.split, count(*) FROM former JOIN manifest
ON manifest.label = former.label AND manifest.sha256 = former.sha256
    AND manifest.generator IS NOT DISTINCT FROM former.generator
    AND manifest."index" IS NOT DISTINCT FROM former."index"
WHERE former.split IS DISTINCT FROM manifest.split GROUP BY ALL ORDER BY ALL
"""


def split_changes(workspace: Workspace, former: Path, manifest: Path, memory: str) -> SplitChanges:
    """The rows of the manifest `former`, of fewer rounds and with the same choices, that have another split in
    `manifest`; none where there is no such manifest."""
    if not former.exists():
        return {}
    try:
        check_version(former, ManifestRow)
    except UsageError:
        return {}
    before, now = read_choices(former), read_choices(manifest)
    if before.rounds >= now.rounds or replace(before, rounds=now.rounds) != now:
        return {}
    with database(workspace, memory) as connection:
        parquet_view(connection, "former", [former])
        parquet_view(connection, "manifest", [manifest])
        found = connection.execute(_CHANGES).fetchall()
    return {(was, is_now): number for was, is_now, number in found}


def lines_of(changes: SplitChanges) -> Iterator[str]:
    """What to say of them."""
    if changes:
        by_split = ", ".join(
            f"{number} from {was or 'none'} to {is_now or 'none'}" for (was, is_now), number in changes.items()
        )
        yield f"{counted(sum(changes.values()), 'row')} of earlier rounds in another split than before: {by_split}"
