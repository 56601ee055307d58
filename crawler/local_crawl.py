"""The part of a crawl that is on this machine: folders and single files beside the models of the Hub.

They are inspected and hashed by every crawl, because nothing but their bytes tells whether they have changed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from crawler.catalog import CatalogEntry
from crawler.hub.listing import Selection
from crawler.local.reader import LocalReader
from crawler.local.rows import completed, listed, places_of
from crawler.local_generator import Config, LocalGenerator
from crawler.row_builder import RowBuilder
from workspace.errors import UsageError
from workspace.layout import Workspace
from workspace.roots import record_roots
from workspace.threads import each

# Columns that the rows of other generators decide.
_OF_THE_CATALOGUE = ("lineage", "license_effective", "license_family_effective", "license_chain")


@dataclass(frozen=True)
class LocalCrawl:
    """The generators on this machine that are selected, in the order of the file."""

    generators: tuple[LocalGenerator, ...] = ()

    @classmethod
    def select(cls, named: Sequence[LocalGenerator], selection: Selection, taken: int) -> "LocalCrawl":
        """Those that the selection matches; `taken` are the models of the Hub, which count in its limit.

        Raises `UsageError` where a folder of configurations has the name of another generator.
        """
        by_path = {generator.path: generator.name for generator in named}
        matching = [generator for generator in named if selection.matches_name(generator.name)]
        chosen = matching[: max(0, selection.limit - taken)] if "checkpoint" in selection.kinds else []
        crawl = cls(tuple(replace(one, config=_named(one.config, by_path)) for one in chosen))
        for generator in crawl.generators:
            config = generator.config
            if config is not None and config.folder is not None and crawl.places[config.name] != config.folder:
                raise UsageError(
                    f"{config.folder}: its name would be {config.name}, that of {crawl.places[config.name]}: give one "
                    'of them a table with another name, ["ORG/NAME"]'
                )
        return crawl

    @property
    def places(self) -> Mapping[str, Path]:
        """The folder, or the file, of each name, those of configurations included."""
        folders = ((one.config.name, one.config.folder) for one in self.generators if one.config is not None)
        found = {name: folder for name, folder in folders if folder is not None}
        return found | {generator.name: generator.path for generator in self.generators}

    def require_free(self, known: Mapping[str, CatalogEntry]) -> None:
        """Raise `UsageError` for a name that a model of the Hub has in the catalogue."""
        for name in self.places:
            if name in known and not known[name].is_local:
                raise UsageError(
                    f"{self.places[name]}: {name} is a model of the Hub in this catalogue: give it another name in a "
                    "TOML file"
                )

    def rows(self, builder: RowBuilder, reader: LocalReader, first_rank: int, workers: int) -> Iterator[CatalogEntry]:
        """The row of each, as they are finished."""

        def build(place: int) -> CatalogEntry:
            generator = self.generators[place]
            return completed(builder.build(listed(generator), first_rank + place, generator), generator, reader)

        yield from each(build, range(len(self.generators)), workers)

    def record(self, workspace: Workspace, entries: Sequence[CatalogEntry]) -> None:
        """Record where the files of these rows, which this crawl has hashed, are. Raises `UsageError`."""
        places = [places_of(entry, self.places) for entry in entries]
        record_roots(workspace, {name: place for found in places for name, place in found.items()})


def is_same(entry: CatalogEntry, former: CatalogEntry) -> bool:
    """Whether a former row says the same of a generator, its place in the catalogue aside."""
    about = ("rank", "crawled_at", "round", "last_round", "further_revision", *_OF_THE_CATALOGUE)
    return replace(entry, **{name: getattr(former, name) for name in about}) == former


def _named(config: Config | None, names: Mapping[Path, str]) -> Config | None:
    """A configuration under the name that its folder has in the file."""
    if config is None or config.folder is None:
        return config
    return replace(config, name=names.get(config.folder, config.name))
