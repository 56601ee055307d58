"""Building the manifest: join, check, and only then put in place.

The joined table is written to a temporary file; the checks read it and the files it names; then the tables of
generators, and last the manifest, are renamed into place. Where a check fails, the former manifest stays. A file that
is damaged or missing costs its generator: the others are joined without it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb

from crawler.catalog import CatalogEntry, read_catalog
from crawler.holdout import Split
from manifests.checks import (
    Failure,
    RowChecks,
    check_catalog,
    check_files,
    check_manifest,
    check_outcomes,
    check_prompts,
    check_removed,
    damaged_generators,
    raise_build_failures,
    unreadable_generators,
)
from manifests.choices import Choices
from manifests.evaluation_sets import EvaluationSets, write_evaluation_sets
from manifests.joining.duplicates import generators_of_equal_images
from manifests.joining.join import open_records, write_manifest
from manifests.joining.real_images import RealImages
from manifests.joining.sample_batches import sampled_generators
from manifests.manifest import images_by_split, manifest_path
from manifests.options import BuildOptions
from manifests.rounds import Rounds
from manifests.split_changes import SplitChanges, lines_of, split_changes
from manifests.split_numbers import SplitNumbers
from manifests.tables.generators import GeneratorRow, generator_rows, read_outcomes, write_generators
from manifests.tables.withheld import withheld_path
from samplers.planning.reservation import Reservation
from samplers.sample import sample_parts
from workspace.atomic import atomic_path, remove_partial
from workspace.errors import CommunityForensicsError, in_one_line
from workspace.layout import Workspace, generator_of
from workspace.number_text import counted, form
from workspace.progress import Log, task
from workspace.removed import read_removals


@dataclass(frozen=True)
class Built:
    """What was built."""

    rows: int
    real_images: RealImages
    unlicensed: int
    """Compatible generators that a public edition does not contain because of their licences."""
    generators: list[GeneratorRow]
    images: Mapping[tuple[Split | None, int], int]
    """Rows by split (None: in none) and label."""
    choices: Choices
    reservation: Reservation = Reservation()
    """The prompts that were reserved when sampling."""
    changes: SplitChanges = field(default_factory=dict)
    """Rows of earlier rounds that are in another split than in the manifest before."""
    evaluation: EvaluationSets = EvaluationSets(0, {})
    """The pairs of the evaluation sets."""
    damaged: Sequence[str] = ()
    """Damaged files, and the generators that are left out because of them."""

    @property
    def kept(self) -> int:
        """Generated images."""
        return sum(row.kept for row in self.generators)

    @property
    def withheld(self) -> int:
        """Real images that a public edition lists without their pixels."""
        return self.real_images.listed

    @property
    def real(self) -> int:
        """Real images."""
        return self.rows - self.kept

    def lines(self) -> Iterator[str]:
        """What was built, for the terminal."""
        sampled = [row for row in self.generators if row.kept]
        yield (
            f"{counted(self.kept, 'generated image')} of {counted(len(sampled), 'generator')}, "
            f"{counted(self.real, 'real image')}"
        )
        yield from self._of_real_images()
        yield from SplitNumbers(self.choices, self.reservation, self.generators, self.images).lines()
        yield from self.evaluation.lines()
        yield from lines_of(self.changes)
        if self.choices.edition == "public":
            yield f"public edition: {counted(self.withheld, 'real image')} listed without pixels"
            yield f"public edition: {counted(self.unlicensed, 'generator')} left out because of their licence in effect"
        yield from self.damaged

    def _of_real_images(self) -> Iterator[str]:
        real = self.real_images
        if real.further:
            yield (
                f"{counted(real.further, 'real image')} beside the prompted ones "
                f"(--real-per-generated {self.choices.real_per_generated:g})"
            )
        if real.missing:
            by_split = ", ".join(f"{number} of {split}" for split, number in real.missing.items())
            yield (
                f"{counted(sum(real.missing.values()), 'real image')} fewer than --real-per-generated "
                f"{self.choices.real_per_generated:g} asks for ({by_split}): caption more images of the same sources "
                "(`cf-caption --update` with a larger --limit), or ask for less"
            )
        if real.equal:
            yield (
                f"{counted(real.equal, 'real image')} {form(real.equal, 'has', 'have')} equal files in prompts/, and "
                "one row each: also_in names the others"
            )


def build(
    workspace: Workspace, options: BuildOptions = BuildOptions(), may_write: Callable[[], None] = lambda: None
) -> Built:
    """Join the records, check everything, and write manifest/; by default the full edition, with the holdouts of
    `cf-sample`.

    The caller is the only one who builds (`stage`); `may_write` is called before files are put in place, and may raise.
    A generator with a damaged or missing file is left out (`Built.damaged`). Raises `UsageError` when a stage before
    this one has not run, or a holdout gives its split no image, `CommunityForensicsError` when a check fails; then
    manifest/ stays as it was.
    """
    log = Log(workspace, "manifest")
    raise_build_failures(check_catalog(workspace))
    catalog = read_catalog(workspace)
    rounds = Rounds.of(workspace, catalog, options.rounds)
    reservation = Reservation.of(workspace, rounds.last)
    choices = Choices.of(_with_hidden_names(workspace, options), reservation.holdouts, rounds.last)
    remove_partial(workspace.manifest)
    joining = _Joining(workspace, options, choices, catalog, rounds)
    with atomic_path(manifest_path(workspace)) as temporary, _withheld_list(workspace, choices) as withheld:
        rows = joining.join(temporary, withheld)
        with task("checking files", total=rows) as checking:
            files = check_files(workspace, temporary, options.verify, options.hub, checking.advance, joining.engine)
        failures = joining.failures + files.failures
        if failures:
            failures += [failure for of_one in files.damaged.values() for failure in of_one]
        elif files.damaged:
            # What is left has been checked: the same files without those of these generators.
            joining.leave_out({name: of_one[0] for name, of_one in files.damaged.items()})
            rows = joining.join(temporary, withheld)
            failures = joining.failures
        damaged = joining.damaged()
        log.event("checked", rows=rows, verify=options.verify, failures=list(map(str, failures)), damaged=damaged)
        raise_build_failures(failures)
        images = images_by_split(temporary)
        SplitNumbers(choices, reservation, joining.generators, images).require(options)
        changes = split_changes(workspace, manifest_path(Workspace(workspace.root)), temporary, options.memory)
        may_write()
        write_generators(workspace, joining.generators)
        sets = write_evaluation_sets(workspace, temporary, withheld)
    real = joining.joined.real
    built = Built(
        rows, real, joining.unlicensed, joining.generators, images, choices, reservation, changes, sets, damaged
    )
    log.event(
        "built", rows=rows, generated=built.kept, real=built.real, listed=real.listed, further=real.further,
        missing=dict(real.missing), equal=real.equal,
    )  # fmt: skip
    return built


def _with_hidden_names(workspace: Workspace, options: BuildOptions) -> BuildOptions:
    """The options without names of removed generators, which would be in the manifest's metadata."""
    removals = read_removals(workspace)
    holdout, validation = (tuple(map(removals.hidden, texts)) for texts in (options.holdout, options.validation))
    return replace(options, holdout=holdout, validation=validation)


class _Joining:
    """The records of a workspace, without the generators that are left out, joined and checked."""

    def __init__(
        self,
        workspace: Workspace,
        options: BuildOptions,
        choices: Choices,
        catalog: Sequence[CatalogEntry],
        rounds: Rounds,
    ) -> None:
        self._workspace, self._options, self._choices, self._rounds = workspace, options, choices, rounds
        self.engine = options.open_engine()
        with task("reading the records"):
            self._catalog = [entry for entry in catalog if entry.round <= rounds.last]
            choices.check(self._catalog)
            raise_build_failures(check_prompts(workspace, self.engine))
            raise_build_failures(check_removed(workspace, catalog))
            self._left_out: dict[str, Failure] = {}
            later = {entry.generator for entry in catalog if entry.round > rounds.last}
            damaged = damaged_generators(workspace, catalog, self.engine)
            self.leave_out({name: failure for name, failure in damaged.items() if name not in later})
        self._outcomes, self._unreadable = read_outcomes(workspace, self._catalog)

    def leave_out(self, damaged: Mapping[str, Failure]) -> None:
        """Join the others only. Raises `CommunityForensicsError` when none is left."""
        self._left_out |= damaged
        sampled = {generator_of(part.parent.name) for part in sample_parts(self._workspace)}
        if sampled and sampled <= self._left_out.keys():
            raise_build_failures(list(self._left_out.values()))

    def damaged(self) -> list[str]:
        """A line for each generator that is left out, and for each outcome that cannot be read."""
        return [f"{name} is left out: {failure}" for name, failure in sorted(self._left_out.items())] + self._unreadable

    def join(self, manifest: Path, withheld: Path | None) -> int:
        """Write the rows and check them; returns how many. What is wrong is in `failures`."""
        workspace, memory = self._workspace, self._options.memory
        try:
            with open_records(workspace, memory, self._left_out, self._rounds.limit) as connection:
                assignment = self._choices.assign(
                    self._catalog, sampled_generators(connection), generators_of_equal_images(connection)
                )
                checks = RowChecks(connection)
                with task("joining samples, catalogue and prompts"):
                    self.joined = write_manifest(
                        connection, manifest, assignment, withheld, self._choices.metadata(),
                        self._choices.real_per_generated, self._choices.public_evaluation, self._rounds.limit,
                        checks.check_batch,
                    )  # fmt: skip
                self.failures = checks.failures()
        except duckdb.Error as error:
            unreadable = unreadable_generators(workspace)
            if unreadable.keys() <= self._left_out.keys():
                raise CommunityForensicsError(f"the records cannot be joined: {in_one_line(error)}") from error
            self.leave_out(unreadable)
            return self.join(manifest, withheld)
        outcomes = {name: outcome for name, outcome in self._outcomes.items() if name not in self._left_out}
        included = {name: outcome for name, outcome in outcomes.items() if name not in assignment.withheld}
        if self._rounds.are_all:
            self.failures += check_outcomes(included, self.joined.results)
        # A public edition does not list the generators whose images it may not contain.
        listed = [row for row in self._catalog if row.reason is not None or row.generator not in assignment.withheld]
        self.generators = generator_rows(listed, self.joined.results, outcomes, assignment.splits)
        self.unlicensed = len(self._catalog) - len(listed)
        # Problems of the records would be reported a second time.
        self.failures = self.failures or check_manifest(workspace, manifest, withheld, self.generators, memory)
        return self.joined.rows


@contextmanager
def _withheld_list(workspace: Workspace, choices: Choices) -> Iterator[Path | None]:
    """Where the list of the real images is written that a public edition leaves out. None: the full edition has no such
    list, and an existing one is removed."""
    path = withheld_path(workspace)
    if choices.edition == "public":
        with atomic_path(path) as temporary:
            yield temporary
    else:
        yield None
        path.unlink(missing_ok=True)
