"""What is to be removed, found in the workspace: generators by name, real images by sha256 or licence."""

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from captioning.prompt import Prompt, prompt_parts
from captioning.removed_prompts import read_removed
from crawler.catalog import CatalogEntry, read_catalog
from upkeep.options import RemoveOptions
from workspace import records
from workspace.errors import UsageError
from workspace.layout import Workspace, generator_of
from workspace.removed import NO_LICENCE, Removals, Removed, generator_key, matches_licence, real_key
from workspace.repo_id import split_revision

#: Digits of a commit from which a revision may be named.
_LEAST_DIGITS = 7
#: Endings of the files that have the name of a generator.
_ENDINGS = (".json", ".jsonl", ".stderr", ".log", ".txt")


@dataclass(frozen=True)
class Target:
    """A generator, or (`revision`) one revision of it, by its commit; `generators` are its names in the workspace."""

    model_name: str
    revision: str | None
    generators: tuple[str, ...]

    @property
    def key(self) -> str:
        """Its key among the tombstones."""
        return generator_key(self.model_name, self.revision)

    def __str__(self) -> str:
        return self.model_name if self.revision is None else f"{self.model_name}@{self.revision[:12]}"


@dataclass(frozen=True)
class Targets:
    """All that is to be removed, and its tombstones.

    `prompt_ids`: of the prompts of these real images; `places`: what stands for the prompts of those that were removed
    before, and whose generated images are removed now.
    """

    tombstones: tuple[Removed, ...]
    generators: tuple[Target, ...] = ()
    real: tuple[str, ...] = ()
    prompt_ids: tuple[str, ...] = ()
    places: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """The generators, by their names in the workspace."""
        return [name for target in self.generators for name in target.generators]

    @property
    def of_real_images(self) -> bool:
        """Whether there is a real image among them, or what was made from the caption of one."""
        return bool(self.real or self.places)

    def note(self) -> dict[str, Any]:
        """As JSON, for the note of an unfinished removal."""
        return {
            "tombstones": [vars(row) for row in self.tombstones],
            "generators": [[one.model_name, one.revision, list(one.generators)] for one in self.generators],
            "real": list(self.real),
        }

    @classmethod
    def of_note(cls, note: dict[str, Any]) -> "Targets":
        """What `note` made. Raises `UsageError` for anything else."""
        try:
            return cls(
                tuple(Removed(**row) for row in note["tombstones"]),
                tuple(Target(name, revision, tuple(names)) for name, revision, names in note["generators"]),
                tuple(note["real"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError("the note of the unfinished removal is of another version: continue with that") from error


def find_targets(
    workspace: Workspace, models: Sequence[str], options: RemoveOptions, removals: Removals, day: str
) -> Targets:
    """Find them. Raises `UsageError` for a generator, a real image or a licence that the workspace does not have,
    unless it was removed before."""
    if not models and not options.real and not options.license:
        raise UsageError("name what to remove: ORG/NAME, --real SHA256 or --license LICENCE")
    tombstone = partial(Removed, reason=options.checked_reason, note=options.note, day=day)
    catalog = read_catalog(workspace) if workspace.catalog.exists() else []
    names = {*(entry.generator for entry in catalog), *_names_of_folders(workspace)}
    generators = [_generator(text, catalog, names, removals) for text in dict.fromkeys(models)]
    rows = [tombstone(what="generator", key=one.key) for one in generators]
    wanted = tuple(dict.fromkeys(sha256.lower() for sha256 in options.real))
    patterns = tuple(dict.fromkeys(licence.lower() for licence in options.license))
    named = list(_real_images(workspace, wanted, patterns)) if wanted or patterns else []
    _require_found(workspace, named, wanted, patterns, removals)
    # What was removed before, and is there again, such as from a copy, goes with it.
    again = [_again(name, catalog, removals) for name in sorted(names)]
    generators += [
        one for one in again if one is not None and one.model_name not in {each.model_name for each in generators}
    ]
    found = [*named, *_removed_images(workspace, removals)]
    real = tuple(dict.fromkeys(row.sha256 for row in found))
    of_real = partial(tombstone, with_generated=options.with_generated)
    rows += [of_real(what="real-licence", key=pattern) for pattern in patterns]
    rows += [
        of_real(what="real-image", key=real_key(sha256)) for sha256 in sorted({*wanted, *(row.sha256 for row in named)})
    ]
    before = _removed_before(workspace, wanted) if options.with_generated else ()
    return Targets(
        tuple(rows), tuple(generators), real, tuple(dict.fromkeys(row.prompt_id for row in found)), tuple(before)
    )


def generator_named(name: str) -> str:
    """The generator that a file or folder of a workspace with this name is of, if it is one of a generator."""
    for ending in _ENDINGS:
        name = name.removesuffix(ending)
    return generator_of(name)


@dataclass(frozen=True)
class _RealImage:
    prompt_id: str
    sha256: str
    license: str | None


def _generator(text: str, catalog: Sequence[CatalogEntry], names: set[str], removals: Removals) -> Target:
    model_name, digits = split_revision(text)
    every = sorted(name for name in names if name.partition("@")[0] == model_name)
    if digits is None:
        if not every and removals.generator(model_name) is None:
            raise UsageError(f"{text}: this workspace has no such generator{_like(model_name, names)}")
        return Target(model_name, None, tuple(every))
    if len(digits) < _LEAST_DIGITS:
        raise UsageError(f"{text}: give at least {_LEAST_DIGITS} digits of the commit after the @")
    rows = [entry for entry in catalog if entry.model_name == model_name and entry.revision.startswith(digits)]
    if len(rows) == 1:
        return Target(model_name, rows[0].revision, (rows[0].generator,))
    if removals.generator(model_name, digits) is not None:
        return Target(model_name, digits, ())
    revisions = ", ".join(entry.revision[:12] for entry in catalog if entry.model_name == model_name) or "none"
    raise UsageError(f"{text}: the catalogue has no such revision; those of {model_name}: {revisions}")


def _again(name: str, catalog: Sequence[CatalogEntry], removals: Removals) -> Target | None:
    """A generator of the workspace that was removed before; None: it was not."""
    model_name = name.partition("@")[0]
    if removals.generator(model_name) is not None:
        return Target(model_name, None, (name,))
    for entry in catalog:
        if entry.generator == name and removals.generator(model_name, entry.revision) is not None:
            return Target(model_name, entry.revision, (name,))
    return None


def _like(model_name: str, names: Iterable[str]) -> str:
    like = difflib.get_close_matches(model_name, [*names], n=1)
    return f"; did you mean {like[0]}?" if like else " (`cf-crawl --exclude` keeps one from being crawled)"


def _names_of_folders(workspace: Workspace) -> Iterator[str]:
    """The generators that have files, also those that the catalogue does not have any more."""
    for area in (workspace.samples, workspace.images, workspace.outcomes):
        if area.is_dir():
            for path in area.iterdir():
                if not path.name.startswith("."):
                    yield generator_of(path.name.removesuffix(".json") if area == workspace.outcomes else path.name)


def _real_images(workspace: Workspace, wanted: Sequence[str], patterns: Sequence[str]) -> Iterator[_RealImage]:
    """The prompts of these real images, and of those with these licences."""
    known = set(wanted)
    for part in prompt_parts(workspace):
        table = records.read_table(part, Prompt, ["prompt_id", "real_sha256", "license"])
        for row in table.to_pylist():
            sha256, licence = row["real_sha256"], row["license"]
            if sha256 is not None and (sha256 in known or any(matches_licence(licence, one) for one in patterns)):
                yield _RealImage(row["prompt_id"], sha256, licence)


def _removed_images(workspace: Workspace, removals: Removals) -> Iterator[_RealImage]:
    """The prompts of real images that were removed before."""
    if all(row.what == "generator" for row in removals.rows):
        return
    for row in _real_images(workspace, (), ("*",)):
        if removals.real_image(row.sha256, row.license) is not None:
            yield row


def _require_found(
    workspace: Workspace,
    found: Sequence[_RealImage],
    wanted: Sequence[str],
    patterns: Sequence[str],
    removals: Removals,
) -> None:
    there = {row.sha256 for row in found}
    known = {row.key for row in removals.rows if row.what != "generator"}
    for sha256 in wanted:
        if sha256 not in there and real_key(sha256) not in known:
            raise UsageError(f"--real {sha256}: no prompt of this workspace has a real image with that sha256")
    for pattern in patterns:
        if pattern not in known and not any(matches_licence(row.license, pattern) for row in found):
            licences = sorted({row.license or NO_LICENCE for row in _real_images(workspace, (), ("*",))})
            raise UsageError(
                f"--license {pattern}: no real image of this workspace has that licence; theirs are "
                f"{', '.join(licences) or 'none, as there are no real images'}"
            )


def _removed_before(workspace: Workspace, wanted: Sequence[str]) -> Iterator[str]:
    """What is in place of the prompts of these real images, where they were removed before."""
    keys = set(map(real_key, wanted))
    for part in prompt_parts(workspace):
        yield from (place.prompt_id for place in read_removed(part) if place.key in keys)
