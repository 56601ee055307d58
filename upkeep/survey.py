"""What a workspace has of what is to be removed; nothing is changed."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from captioning.prompt import Prompt, prompt_parts
from crawler.catalog import CatalogEntry, read_catalog
from crawler.removal import without_removed
from manifests.choices import read_choices
from manifests.manifest import manifest_path
from samplers.planning.reservation import Reservation
from samplers.sample import Sample
from upkeep.options import RemoveOptions
from upkeep.removal_report import RemovalReport
from upkeep.sample_rows import count_images
from upkeep.targets import Targets, generator_named
from workspace import recipe, records
from workspace.errors import UsageError
from workspace.layout import Workspace, parts_in
from workspace.removed import Removals


def survey(workspace: Workspace, targets: Targets, options: RemoveOptions, removals: Removals) -> RemovalReport:
    """Count it. Raises `UsageError` for a file that cannot be read, before anything is removed."""
    recipe.rounds(workspace)
    if targets.of_real_images:
        _require_readable_prompts(workspace)
    catalog = read_catalog(workspace) if workspace.catalog.exists() else []
    with_prompts = {*targets.prompt_ids, *targets.places}
    every = removals.united(targets.tombstones)
    former = {row.key: row.why for row in removals.rows}
    return RemovalReport(
        dry_run=options.dry_run,
        already={str(target): former[target.key] for target in targets.generators if target.key in former},
        generators={name: _images_of(workspace, name) for name in targets.names},
        real_images=len(targets.real),
        prompts=len(targets.prompt_ids),
        from_captions=count_images(workspace, with_prompts) if with_prompts else Counter(),
        with_generated=options.with_generated,
        made_from=tuple(_made_from(catalog, every)),
        build=_build_command(workspace, every),
        size=sum(_size(path) for name in targets.names for path in files_of(workspace, name)),
    )


def files_of(workspace: Workspace, generator: str) -> Iterator[Path]:
    """The files and folders that have the name of a generator."""
    for area in (workspace.samples, workspace.images, workspace.outcomes, workspace.requests, workspace.logs):
        paths = area.rglob("*") if area == workspace.logs else area.glob("*")
        yield from sorted(path for path in paths if generator_named(path.name) == generator)


def _made_from(catalog: list[CatalogEntry], removals: Removals) -> Iterator[str]:
    """The generators whose rows name a removed one."""
    after: Mapping[str, CatalogEntry] = {entry.generator: entry for entry in without_removed(catalog, removals)}
    yield from sorted(entry.generator for entry in catalog if after.get(entry.generator, entry) != entry)


def _build_command(workspace: Workspace, removals: Removals) -> str | None:
    """The command that built the manifest; None: there is neither a manifest nor a report."""
    if not workspace.report.exists() and not any(workspace.manifest.glob("*")):
        return None
    words = ["cf-build-manifest"]
    try:
        choices = read_choices(manifest_path(workspace))
    except (OSError, ValueError, KeyError):
        return words[0]
    sampled = Reservation.of(workspace).holdouts
    for option, held, as_sampled in (
        ("--holdout", choices.holdout, sampled.test),
        ("--validation", choices.validation, sampled.validation),
    ):
        # Those of sampling are held out without a word, and those that are removed are not there.
        if set(held) != set(map(str, as_sampled)):
            words += [f"{option} {text}" for text in held if removals.hidden(text) == text]
    words += [f"--edition {choices.edition}"] if choices.edition != "full" else []
    words += [f"--license-allow {','.join(choices.license_allow)}"] if choices.license_allow else []
    words += [f"--kin {choices.kin}"] if choices.kin != "separate" else []
    words += [f"--real-per-generated {choices.real_per_generated:g}"] if choices.real_per_generated != 1 else []
    return " ".join(words)


def _images_of(workspace: Workspace, generator: str) -> int:
    """Its images, as far as its rows can be read."""
    images = 0
    for part in parts_in(workspace.samples_of(generator)):
        try:
            images += records.read_table(part, Sample, ["status"])["status"].to_pylist().count("ok")
        except UsageError:
            continue
    return images


def _size(path: Path) -> int:
    paths = path.rglob("*") if path.is_dir() else [path]
    return sum(one.lstat().st_size for one in paths if not one.is_dir())


def _require_readable_prompts(workspace: Workspace) -> None:
    """Raise `DamagedFileError` for a part of prompts that is damaged: what it has cannot be removed from it."""
    for part in prompt_parts(workspace):
        try:
            records.verify(part, Prompt)
        except records.DamagedFileError as error:
            raise records.DamagedFileError(
                f"{error}; run `cf-caption` again with the same options, which makes it again, and then this command"
            ) from error
