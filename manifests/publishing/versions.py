"""Versions of a dataset: each one that is published gets a tag on the Hub, under which it stays readable.

The tag is the user's, or `round-N` for the manifest of rounds 1 to N; a second version of these rounds is `round-N.2`,
and so on. A tag never moves: one that has other content is refused. What is published is known from the names of its
shards, which are hashes of their rows, and the checksums of its tables.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from manifests.publishing.changelog import CHANGELOG_FILE, Changelog, Contents, parse_changelog
from manifests.publishing.checksums import SHARDS, Checksums
from manifests.publishing.dataset_state import BranchState, state_of
from manifests.publishing.repository import DatasetOnHub, Refs
from workspace.errors import HubError, UsageError
from workspace.removed import Removals


@dataclass(frozen=True)
class Content:
    """What a version is: the paths of its shards and the checksums of its tables, without the changelog."""

    shards: frozenset[str]
    tables: Checksums

    @classmethod
    def of(cls, state: BranchState) -> "Content":
        """That of a commit."""
        tables = {path: sha256 for path, sha256 in state.ours.items() if not path.startswith(SHARDS)}
        tables.pop(CHANGELOG_FILE, None)
        return cls(frozenset(path for path in state.ours if path.startswith(SHARDS)), tables)


@dataclass(frozen=True)
class NextVersion:
    """The version that is to be published."""

    tag: str
    is_tagged: bool
    """Whether the Hub has the tag, with this content."""
    changelog: Changelog
    former_tags: tuple[str, ...]
    """Tags of the Hub that this program made for versions before."""


def next_version(
    hub: DatasetOnHub,
    main: BranchState,
    content: Content,
    contents: Contents,
    rounds: int,
    tag: str | None,
    removals: Removals = Removals(),
) -> NextVersion:
    """The version with this content, as the Hub is now; `tag`: the one that the user asked for. The changelog names
    nothing of `removals`.

    Raises `UsageError` for a tag that has other content.
    """
    refs, changelog = hub.refs(), _changelog_of(hub, main, removals)
    last = changelog.versions[-1] if changelog.versions else None
    is_there = last is not None and Content.of(main) == content
    chosen, is_tagged = _tag(hub, refs, changelog, content, rounds, tag or (last.tag if last and is_there else None))
    if not is_there:
        changelog = changelog.with_version(chosen, rounds, contents)
    former = tuple(name for name in changelog.tags if name in refs.tags and name != chosen)
    return NextVersion(chosen, is_tagged, changelog, former)


def make_tag(hub: DatasetOnHub, version: NextVersion, commit: str, content: Content) -> None:
    """Give the commit of a published version its tag.

    Raises `HubError` where somebody else has made it meanwhile for another version, or the Hub does not have it.
    """
    is_made = hub.make_tag(version.tag, commit)
    if version.tag not in hub.refs().tags:  # a page of a network that asks for a log-in counts as made
        raise HubError(f"{hub}: it has no tag {version.tag}, although it was created: run the same command again")
    if not is_made and Content.of(state_of(hub, version.tag)) != content:
        raise HubError(
            f"{hub}: somebody else made the tag {version.tag} meanwhile, for another version; this one is on main: "
            "run the same command again with another --tag"
        )


def _tag(
    hub: DatasetOnHub, refs: Refs, changelog: Changelog, content: Content, rounds: int, wanted: str | None
) -> tuple[str, bool]:
    """The version's tag, and whether the Hub has it."""
    if wanted is not None and wanted in refs.branches:
        raise UsageError(f"{hub.repo_id} has a branch {wanted}: name another --tag")
    for name in [wanted] if wanted is not None else _names(rounds):
        if name in refs.tags:
            if Content.of(state_of(hub, refs.tags[name])) == content:
                return name, True
        elif name == wanted or (name not in changelog.tags and name not in refs.branches):
            return name, False
    raise UsageError(
        f"{hub.repo_id} has the tag {wanted} already, with other content, and a tag never moves: name another --tag"
    )


def _names(rounds: int) -> Iterator[str]:
    yield f"round-{rounds}"
    yield from (f"round-{rounds}.{number}" for number in count(2))


def _changelog_of(hub: DatasetOnHub, main: BranchState, removals: Removals) -> Changelog:
    if main.head is None or CHANGELOG_FILE not in main.ours:
        return Changelog()
    try:
        content = hub.read(main.head, CHANGELOG_FILE) or b""
        return parse_changelog(removals.hidden(content.decode()).encode())
    except ValueError as error:
        raise HubError(
            f"{hub}: {CHANGELOG_FILE} was not written by cf-publish ({error}): restore it there, or remove it and its "
            "line in SHA256SUMS"
        ) from error
