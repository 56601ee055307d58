"""The choice of generators: by name, licence, size of the download and architecture, for crawl and sampling alike.

What a choice leaves out is counted, with the option that does it: of several the first in the order of this page.
"""

import difflib
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import get_args

from crawler.catalog import Architecture, CatalogEntry
from crawler.generator_names import GeneratorNames, is_pattern, named_by
from crawler.named_licenses import NamedLicenses
from crawler.options import ChoiceOptions
from crawler.reasons import Reason
from workspace.errors import UsageError
from workspace.size import bytes_of, text_of

#: Names, and values of a reason, that a line has at most.
_SHOWN = 5


@dataclass(frozen=True)
class LeftOut:
    """Why a choice leaves a generator out."""

    option: str
    """--exclude, for example."""
    value: str
    """What of the generator it goes by, such as its licence."""
    detail: str
    """In words."""

    def __str__(self) -> str:
        return f"{self.option}: {self.detail}"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which generators are wanted."""

    only: GeneratorNames = GeneratorNames()
    exclude: GeneratorNames = GeneratorNames()
    allowed: NamedLicenses = NamedLicenses(())
    """None: all."""
    denied: NamedLicenses = NamedLicenses((), "--license-deny")
    max_bytes: int | None = None
    architectures: tuple[str, ...] = ()
    """Architectures, pipeline classes and shell patterns over these; none: all."""

    @classmethod
    def of(cls, only: Iterable[str], options: ChoiceOptions) -> "Choice":
        """The choice of these options; raises `UsageError` for a value that none can have."""
        return cls(
            only=GeneratorNames.parse(only, "--only"),
            exclude=GeneratorNames.parse(options.exclude, "--exclude"),
            allowed=NamedLicenses.parse(options.license_allow, "--license-allow", bare_families=True),
            denied=NamedLicenses.parse(options.license_deny, "--license-deny", bare_families=True),
            max_bytes=None if options.max_size is None else bytes_of(options.max_size, "--max-size"),
            architectures=tuple(sorted(_split(options.architecture))),
        )

    def option_against(self, *names: str) -> str | None:
        """The option that leaves a generator of these names out; None: it is wanted as far as its name tells."""
        if self.only and not self.only.match(*names):
            return "--only"
        return "--exclude" if self.exclude.match(*names) else None

    def left_out(self, entry: CatalogEntry) -> LeftOut | None:
        """Why a generator is left out; None: it is wanted."""
        option = self.option_against(entry.model_name, entry.generator)
        return LeftOut(option, entry.generator, "its name") if option is not None else self.left_out_by_facts(entry)

    def left_out_by_facts(self, entry: CatalogEntry) -> LeftOut | None:
        """Likewise, whatever its name is."""
        license_ = entry.license_effective or "none given"
        if self.allowed.texts and not self.allowed.cover(entry):
            return LeftOut("--license-allow", license_, f"its licence in effect, {license_}, is not allowed")
        if self.denied.cover_part(entry):
            return LeftOut("--license-deny", license_, f"its licence in effect, {license_}, is denied")
        if self.max_bytes is not None and entry.download_bytes > self.max_bytes:
            size, largest = text_of(entry.download_bytes), text_of(self.max_bytes)
            return LeftOut("--max-size", "", f"its download of {size} is larger than {largest}")
        kinds = (entry.architecture, entry.hf_diffusers_tag or "")
        if self.architectures and not any(fnmatchcase(kind, one) for kind in kinds for one in self.architectures):
            described = " of a ".join(filter(None, kinds))
            return LeftOut("--architecture", entry.architecture, f"it is {described}")
        return None

    def require_known(self, catalog: Sequence[CatalogEntry]) -> list[str]:
        """Lines about names that have no effect on a catalogue.

        Raises `UsageError` for a name, pattern, licence or architecture of --only and the like that no generator has:
        a spelling mistake.
        """
        names = {name for entry in catalog for name in (entry.model_name, entry.generator)}
        for text in self.only.given:
            if not named_by(text, names):
                like = difflib.get_close_matches(text, sorted(names), n=1, cutoff=0.8)
                hint = f"; did you mean {like[0]}?" if like else ""
                raise UsageError(f"--only {text}: the catalogue has no such generator; crawl it with `cf-crawl`{hint}")
        for licenses in (self.allowed, self.denied):
            licenses.check(catalog)
        self.require_kinds(entry.hf_diffusers_tag or "" for entry in catalog)
        unknown = [text for text in self.only.listed if not named_by(text, names)]
        lines = [f"--only: the catalogue has no generator {_some(unknown)}"] if unknown else []
        idle = [text for text in self.exclude.texts if not named_by(text, names)]
        return [*lines, *([f"--exclude: the catalogue has no generator {_some(idle)}"] if idle else [])]

    def require_kinds(self, classes: Iterable[str]) -> None:
        """Raise `UsageError` for what is neither an architecture nor one of these pipeline classes."""
        kinds = {kind.lower(): kind for kind in (*get_args(Architecture), *classes) if kind}
        for text in self.architectures:
            if not any(fnmatchcase(kind, text) for kind in kinds.values()):
                like = difflib.get_close_matches(text.lower(), kinds, n=1)
                architectures = ", ".join(get_args(Architecture))
                hint = f"did you mean {kinds[like[0]]}?" if like else f"the architectures are {architectures}"
                raise UsageError(
                    f"--architecture {text}: neither an architecture nor a pipeline class of a generator; {hint}"
                )

    def unlisted(self, listed: Collection[str]) -> list[str]:
        """A line about the names, not the patterns, of --only that the models of a crawl do not have."""
        names = frozenset(listed)
        missing = [text for text in self.only.texts if not is_pattern(text) and text not in names]
        where = "the Hub's list does not have, or another option leaves out"
        return [f"--only: {len(missing)} that {where}: {_some(missing)}"] if missing else []

    def unknown_licenses(self, catalog: Sequence[CatalogEntry]) -> list[str]:
        """A line for a licence that no generator has and that is not known: a spelling mistake, perhaps."""
        lines = []
        for licenses in (self.allowed, self.denied):
            try:
                licenses.check(catalog)
            except UsageError as error:
                lines.append(str(error))
        return lines


def applied(entries: Iterable[CatalogEntry], choice: Choice, sampled: Collection[str]) -> list[CatalogEntry]:
    """The rows of a crawl, those that the choice leaves out with the reason `left-out`.

    Those of sampled generators stay, and so do those that could not be sampled for another reason.
    """
    return [entry if entry.generator in sampled else _applied(entry, choice) for entry in entries]


def line_of(left_out: Sequence[LeftOut], of: int, what: str) -> str:
    """How many generators of how many were left out, by option, in a line."""
    by_option: dict[str, Counter[str]] = {}
    for one in left_out:
        by_option.setdefault(one.option, Counter())[one.value] += 1
    parts = []
    for option, values in sorted(by_option.items(), key=lambda item: -item[1].total()):
        named = [f"{value} {count}" for value, count in values.most_common(_SHOWN) if value]
        rest = ", ..." if len(values) > _SHOWN else ""
        listed = f" ({', '.join(named)}{rest})" if named and option not in ("--only", "--exclude") else ""
        parts.append(f"{values.total():,} by {option}{listed}")
    return f"left out: {len(left_out):,} of {of:,} {what}: {', '.join(parts)}"


def _applied(entry: CatalogEntry, choice: Choice) -> CatalogEntry:
    if entry.status != "compatible" and entry.reason != Reason.PICKLE_ONLY:
        return entry
    why = choice.left_out_by_facts(entry)
    if why is None:
        return entry
    detail = str(why) if entry.reason_detail is None else f"{why}; {entry.reason_detail}"
    return replace(entry, status="incompatible", reason=Reason.LEFT_OUT.value, reason_detail=detail)


def _split(texts: Iterable[str]) -> set[str]:
    return {text.strip() for several in texts for text in several.split(",")} - {""}


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else "")
