"""Building the manifest: join, check, and only then put in place.

The joined table is written to a temporary file; the checks read it and the files it names; then the tables of
generators, and last the manifest, are renamed into place. Where a check fails, the former manifest stays.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from crawler.catalog import read_catalog
from manifests.checks import (
    RowChecks,
    check_files,
    check_manifest,
    check_outcomes,
    check_parts,
    raise_build_failures,
)
from manifests.choices import Choices
from manifests.joining.duplicates import generators_of_equal_images
from manifests.joining.join import open_records, write_manifest
from manifests.joining.sample_batches import sampled_generators
from manifests.manifest import Split, manifest_path, rows_by_split
from manifests.options import BuildOptions
from manifests.plural import counted
from manifests.tables.generators import GeneratorRow, generator_rows, read_outcomes, write_generators
from manifests.tables.withheld import withheld_path
from workspace.atomic import atomic_path, remove_partial
from workspace.errors import CommunityForensicsError, in_one_line
from workspace.layout import Workspace
from workspace.progress import Log, task


@dataclass(frozen=True)
class Built:
    """What was built."""

    rows: int
    withheld: int
    """Real images that a public edition lists without their pixels."""
    generators: list[GeneratorRow]
    rows_by_split: Mapping[Split | None, int]
    """Rows in train, in test and (None) in neither."""
    choices: Choices

    @property
    def kept(self) -> int:
        """Generated images."""
        return sum(row.kept for row in self.generators)

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
        if self.choices.holdout:
            for name, numbers in (
                ("generators", Counter(row.split for row in sampled)),
                ("images", self.rows_by_split),
            ):
                train, test, neither = (numbers.get(split, 0) for split in ("train", "test", None))
                yield f"{name}: {train} train, {test} test, {neither} in neither"
        if self.choices.edition == "public":
            yield f"public edition: {counted(self.withheld, 'real image')} listed without pixels"


def build(
    workspace: Workspace, options: BuildOptions = BuildOptions(), may_write: Callable[[], None] = lambda: None
) -> Built:
    """Join the records, check everything, and write manifest/; by default the full edition, all of it for training.

    The caller is the only one who builds (`stage`); `may_write` is called before files are put in place, and may raise.

    Raises `UsageError` when a stage before this one has not run, `CommunityForensicsError` when a check fails;
    then manifest/ stays as it was.
    """
    log = Log(workspace, "manifest")
    catalog = read_catalog(workspace)
    outcomes = read_outcomes(workspace, catalog)
    choices = Choices.of(options)
    remove_partial(workspace.manifest)
    if options.verify == "full":
        with task("reading the records"):
            raise_build_failures(check_parts(workspace))
    with atomic_path(manifest_path(workspace)) as temporary, _withheld_list(workspace, choices) as withheld:
        try:
            with open_records(workspace, options.memory) as connection:
                assignment = choices.assign(
                    catalog, sampled_generators(connection), generators_of_equal_images(connection)
                )
                checks = RowChecks(connection)
                with task("joining samples, catalogue and prompts"):
                    joined = write_manifest(
                        connection, temporary, assignment, withheld, choices.metadata(), checks.check_batch
                    )
                failures = checks.failures()
        except duckdb.Error as error:
            # Its message need not name the file that it could not read.
            raise_build_failures(check_parts(workspace))
            raise CommunityForensicsError(f"the records cannot be joined: {in_one_line(error)}") from error
        included = {name: outcome for name, outcome in outcomes.items() if name not in assignment.withheld}
        failures += check_outcomes(included, joined.results)
        generators = generator_rows(catalog, joined.results, outcomes, assignment.splits)
        # Problems of the records would be reported a second time.
        failures = failures or check_manifest(workspace, temporary, withheld, generators, options.memory)
        with task("checking files", total=joined.rows) as checking:
            failures += check_files(workspace, temporary, options.verify, options.hub, checking.advance)
        log.event("checked", rows=joined.rows, verify=options.verify, failures=[str(failure) for failure in failures])
        raise_build_failures(failures)
        may_write()
        write_generators(workspace, generators)
    built = Built(joined.rows, joined.withheld, generators, rows_by_split(workspace), choices)
    log.event("built", rows=joined.rows, generated=built.kept, real=built.real)
    return built


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
