"""A history without former versions: files that were removed from the dataset are in no commit any more.

Removing a file takes it from `main` only; its former commits still have it, for everybody who names one. The Hub can
replace a branch's history by one commit with the same files, which cannot be undone. What it stores of large files is
not removed by that: its documentation leaves it to the owner to delete them, from the list in the dataset's settings.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from manifests.publishing.repository import DatasetOnHub
from workspace.errors import HubError
from workspace.number_text import counted

_MESSAGE = "The dataset, without former versions"


@dataclass(frozen=True)
class Squashed:
    """The history of `main` as it was: its number of commits; and the other refs, which have histories of their own."""

    commits: int
    other_refs: Sequence[str]

    def lines(self, *, dry_run: bool) -> Iterator[str]:
        """The same, for the terminal; with what remains to do."""
        if dry_run:
            yield f"dry run: would replace the history of main ({counted(self.commits, 'commit')}) by one commit"
        elif self.commits == 1:
            yield "the history of main has one commit only: there is no former version in it"
        else:
            former = counted(self.commits, "commit")
            yield f"replaced the history of main ({former}) by one commit: it has no former version any more"
        if self.other_refs:
            yield f"other histories may still have them; remove these refs on the Hub: {', '.join(self.other_refs)}"
        yield (
            "the Hub still stores the contents of removed files, until you delete them: Settings of the dataset, "
            '"List LFS files", or `permanently_delete_lfs_files` of huggingface_hub'
        )


def squash(hub: DatasetOnHub, *, dry_run: bool) -> Squashed:
    """Replace the history of `main` by one commit with the same files, unless it has only one.

    Raises `HubError` when the Hub refuses, and when `main` has other files afterwards.
    """
    commits = hub.commits("main") if hub.head("main") is not None else 0
    if commits > 1 and not dry_run:
        before = hub.files("main")
        hub.squash("main", _MESSAGE)
        if hub.files("main") != before:
            raise HubError(f"{hub}: its files changed while its history was replaced: run the same command again")
    return Squashed(commits, hub.other_refs("main") if commits else [])
