"""What publishing did, or would do, for the terminal."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from manifests.publishing.changelog import Version
from manifests.publishing.evaluation import EvaluationSet
from manifests.publishing.planning import PlannedShard
from manifests.publishing.squashing import Squashed
from workspace.number_text import counted, form
from workspace.size import text_of

#: Lines of the card's changes that are shown.
_CARD_LINES = 400


@dataclass(frozen=True, kw_only=True)
class Published:
    """What was published, or would be (`dry_run`)."""

    repo_id: str
    shards: Sequence[PlannedShard]
    """All shards of the dataset."""
    sent: Sequence[PlannedShard]
    """Those that the Hub did not have."""
    removed: int
    """Files of a former version."""
    in_no_split: int
    """Rows of the manifest that are not published."""
    dry_run: bool
    changed: bool
    """Whether `main` has a new commit."""
    moved: int
    """How often somebody else committed meanwhile, and this one planned again."""
    card: Sequence[str]
    """What of the card changes, in lines, as a diff."""
    evaluation_sets: Sequence[EvaluationSet]
    """The sets whose real images were paired with generators."""
    squashed: Squashed | None
    """What happened to the history, where that was asked for."""
    tag: str
    """The tag of the version."""
    is_new_tag: bool
    removed_tags: Sequence[str]
    """Those of former versions."""
    version: Version
    """What it contains, and what it adds and removes."""
    measured: Sequence[str] = ()
    """What the audit says of shortcuts, or that there was none; and what of detectors' scores the card leaves out."""

    def lines(self) -> Iterator[str]:
        """The same, for the terminal."""
        splits: Counter[str] = Counter()
        for shard in self.shards:
            splits[shard.split] += shard.rows
        by_split = ", ".join(f"{name} {splits[name]}" for name in sorted(splits))
        yield (f"{self.repo_id}: {counted(splits.total(), 'row')} ({by_split}) in {counted(len(self.shards), 'shard')}")
        if self.in_no_split:
            are = form(self.in_no_split, "is", "are")
            yield f"{counted(self.in_no_split, 'row')} of the manifest {are} in no split and {are} not published"
        for evaluation_set in self.evaluation_sets:
            yield from evaluation_set.lines()
        size = text_of(sum(shard.image_bytes for shard in self.sent))
        sent = f"{counted(len(self.sent), 'shard')} ({size} of images)"
        removed = f"{counted(self.removed, 'file')} of a former version"
        if self.moved:
            yield f"{self.repo_id} was changed by somebody else meanwhile: planned again, from what is there now"
        if self.dry_run:
            yield f"dry run: would send {sent} and remove {removed}"
            yield from self._card_lines()
        elif not self.changed:
            yield "nothing to send: the Hub has this version already"
        else:
            yield f"sent {sent} and verified the whole dataset; removed {removed}"
        version = self.version
        if self.is_new_tag:
            made = f"{'would make the tag' if self.dry_run else 'tag'} {self.tag}"
            yield (
                f"{made}: generators {version.generators}, generated images {version.generated}, real images "
                f"{version.real}"
            )
            yield from (f"changed: {text}" for text in version.settings)
        else:
            yield f"its tag is {self.tag}"
        if self.removed_tags:
            removed = "would remove" if self.dry_run else "removed"
            yield f"{removed} the tags of former versions: {', '.join(self.removed_tags)}"
        if self.squashed is not None:
            yield from self.squashed.lines(dry_run=self.dry_run)
        yield from self.measured

    def _card_lines(self) -> Iterator[str]:
        if not self.card:
            yield "the card stays as it is"
            return
        yield "changes of the card:"
        yield from self.card[:_CARD_LINES]
        if (more := len(self.card) - _CARD_LINES) > 0:
            yield f"... and {counted(more, 'more line')}"
