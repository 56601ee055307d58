"""What the user sets instead of the generators' authors: for all generators, or for those that a settings file names.

A settings file has a table for a generator or for a shell pattern over ORG/NAME:

    ["ORG/NAME"]
    steps = 20
    scheduler = "DDIMScheduler"

    ["ORG/*"]
    width = 768
    images = 100

Each setting of a generator is looked for by itself: in the table with its name; then in those whose pattern it matches,
the longest one first (most characters that are no wildcards); then among the general options; then it is the author's.
Two patterns of the same length that give it different values are an error: the order of a file decides nothing.

A value of the user wins over everything that the author states: a number of steps also over lists of `timesteps` or
`sigmas`; a scheduler also over the settings that the card gives to another one, and of such a list only the number of
steps stays. What a pipeline cannot take is found before the run (`UserSettings.check`): an error for a generator that
is named; a line for those that a pattern or a general option covers, which are sampled without it.
"""

import difflib
import json
import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from crawler.accepted_settings import OF_TRAINING, SettingName, multiple_of, refusal, taken_by_scheduler
from crawler.catalog import CatalogEntry, Hyperparameters
from samplers.settings_file import FIELDS, Value, Values
from workspace.errors import UsageError

#: Arguments of a pipeline's call that name every step, and so how many there are.
STEP_LISTS = ("timesteps", "sigmas")

#: Generators that a line names.
_SHOWN = 20

_WILDCARDS = re.compile(r"\*|\?|\[[^\]]*\]")


@dataclass(frozen=True)
class UserSettings:
    """The settings of the user, checked one by one."""

    general: Values = field(default_factory=dict)
    """For all generators."""
    named: Mapping[str, Values] = field(default_factory=dict)
    """For the generators that a name or a shell pattern names."""

    def of(self, entry: CatalogEntry) -> dict[str, Value]:
        """The settings of one generator; raises `UsageError` where two patterns contradict each other."""
        return {key: value for key, (value, _) in self._with_places(entry).items()}

    def images(self, entry: CatalogEntry, otherwise: int) -> int:
        """How many images the user wants of one generator; `otherwise` where no table says."""
        return int(self.of(entry).get("images", otherwise)) if self.named else otherwise

    def applied_to(self, entry: CatalogEntry) -> CatalogEntry:
        """The row with the user's values and their source, `user`, as far as the generator's pipeline takes them."""
        for key, value in self.of(entry).items():
            if key in FIELDS and refusal(entry, FIELDS[key], value) is None:
                entry = _with_value(entry, FIELDS[key], value)
        return entry

    def check(
        self, catalog: Iterable[CatalogEntry], sampled: Sequence[CatalogEntry], known: Collection[str] = ()
    ) -> list[str]:
        """Lines about settings that generators are sampled without; `sampled` are the generators of the run, `known`
        the names and patterns that the workspace was sampled with.

        Raises `UsageError` for a name or pattern of no generator, unless it is known: its generator was removed; for a
        setting that a named generator cannot take or that none can take, and for a size that does not fit one that
        takes it.
        """
        entries = list(catalog)
        usable = {entry.generator: entry for entry in entries if entry.status == "compatible"}
        usable |= {entry.generator: entry for entry in sampled}
        lines = [line for name in self.named for line in _unused(name, entries, usable, name in known)]
        refused: dict[tuple[str, str], dict[str, str]] = {}
        taken: set[tuple[str, str]] = set()
        for entry in usable.values():
            for key, (value, place) in self._with_places(entry).items():
                if key not in FIELDS:
                    continue
                why = refusal(entry, FIELDS[key], value)
                if why is None:
                    taken.add((place, key))
                elif place in (entry.generator, entry.model_name):
                    raise UsageError(f"{_shown(place, key, value)}: {why}; remove it there")
                else:
                    refused.setdefault((place, key), {})[entry.generator] = why
        self._check_sizes(sampled)
        names = {entry.generator for entry in sampled}
        for (place, key), reasons in refused.items():
            lines += self._lines(place, key, reasons, (place, key) in taken, names)
        return lines

    def _lines(
        self, place: str, key: str, reasons: Mapping[str, str], is_taken: bool, sampled: set[str]
    ) -> Iterator[str]:
        value = self.named.get(place, self.general)[key]
        if not is_taken:
            name, why = next(iter(reasons.items()))
            others = f", and {len(reasons) - 1} others likewise" if len(reasons) > 1 else ""
            raise UsageError(f"{_shown(place, key, value)}: no generator can take it ({name}: {why}{others})")
        without = sorted(reasons.keys() & sampled)
        if without:
            are = (
                "1 generator cannot take it and is"
                if len(without) == 1
                else f"{len(without)} generators cannot take it and are"
            )
            yield f"{_shown(place, key, value)}: {are} sampled without it: {_some(without)}"

    def _check_sizes(self, sampled: Iterable[CatalogEntry]) -> None:
        """Raise `UsageError` for a side that is no multiple of what generators need, with those and the next sizes."""
        wrong: dict[tuple[str, str, int], list[str]] = {}
        for entry in sampled:
            for key, (value, place) in self._with_places(entry).items():
                if key in ("width", "height") and refusal(entry, FIELDS[key], value) is None:
                    multiple = multiple_of(entry)
                    if int(value) % multiple:
                        wrong.setdefault((place, key, multiple), []).append(entry.generator)
        for (place, key, multiple), names in wrong.items():
            value = int(self.named.get(place, self.general)[key])
            below, above = value - value % multiple, value + multiple - value % multiple
            instead = f"{below} or {above}" if below else str(above)
            need = "1 generator needs" if len(names) == 1 else f"{len(names)} generators need"
            raise UsageError(
                f"{_shown(place, key, value)}: {need} a multiple of {multiple}, such as {instead}: "
                f"{_some(sorted(names))}"
            )

    def _with_places(self, entry: CatalogEntry) -> dict[str, tuple[Value, str]]:
        """The settings of one generator, each with the name or pattern that gives it; empty: a general option."""
        found: dict[str, tuple[Value, str]] = {}
        lengths: dict[str, float] = {}
        matching = (name for name in self.named if _matches(name, entry))
        for length, name in sorted(((_precedence(name, entry), name) for name in matching), reverse=True):
            for key, value in self.named[name].items():
                former, place = found.setdefault(key, (value, name))
                if lengths.setdefault(key, length) == length and former != value:
                    raise UsageError(
                        f'settings ["{place}"] and ["{name}"] give {entry.generator} different values of {key}: add '
                        f'it to ["{entry.generator}"]'
                    )
        for key, value in self.general.items():
            found.setdefault(key, (value, ""))
        return found


def _unused(
    name: str, catalog: Sequence[CatalogEntry], usable: Mapping[str, CatalogEntry], is_known: bool
) -> Iterator[str]:
    """A line about a name or pattern whose generators cannot be sampled; raises `UsageError` where it has none, and is
    not known."""
    matching = [entry.generator for entry in catalog if _matches(name, entry)]
    if not matching and not is_known:
        like = difflib.get_close_matches(name, [entry.generator for entry in catalog], n=1, cutoff=0.8)
        hint = f"; did you mean {like[0]}?" if like else ""
        raise UsageError(f'settings ["{name}"]: the catalogue has no such generator{hint}')
    if not any(generator in usable for generator in matching):
        which = f"none of its generators can be sampled ({_some(matching)})" if matching else "the catalogue has none"
        yield f'settings ["{name}"] have no effect: {which}'


def _matches(name: str, entry: CatalogEntry) -> bool:
    return name in (entry.model_name, entry.generator) or fnmatchcase(entry.model_name, name)


def _precedence(name: str, entry: CatalogEntry) -> float:
    """Characters of a pattern that are no wildcards; a generator's own name comes before every pattern, and that of a
    further revision before the repository's."""
    if name in (entry.generator, entry.model_name):
        return math.inf if name == entry.generator else 10.0**9
    return len(_WILDCARDS.sub("", name))


def _with_value(entry: CatalogEntry, name: SettingName, value: Value) -> CatalogEntry:
    former, sources = entry.hyperparameters, entry.hyperparameter_sources
    values: dict[str, Any] = {name: value}
    if name == "num_inference_steps":
        values["extra"] = _without_lists(former)
    elif name == "scheduler" and value != former.scheduler:
        taken = OF_TRAINING & taken_by_scheduler(str(value))
        settings = json.loads(former.scheduler_config or "{}")
        values["scheduler_config"] = _json({key: each for key, each in settings.items() if key in taken})
        # A list is for the author's scheduler, and many take none.
        listed = next((each for key, each in json.loads(former.extra or "{}").items() if key in STEP_LISTS), None)
        if listed is not None:
            values["extra"] = _without_lists(former)
            values["num_inference_steps"] = len(listed) if isinstance(listed, list) else former.num_inference_steps
            sources = replace(sources, num_inference_steps=sources.extra)
    elif name == "negative_prompt":
        values[name] = _with_negative_tokens(entry, str(value))
    stated: dict[str, Any] = {key: "user" if key == name else getattr(sources, key) for key in values}
    stated |= {key: None for key, each in values.items() if each is None}
    return replace(entry, hyperparameters=replace(former, **values), hyperparameter_sources=replace(sources, **stated))


def _with_negative_tokens(entry: CatalogEntry, text: str) -> str | None:
    """The user's negative prompt with the tokens of a negative embedding, which work there only; None for none."""
    former = entry.hyperparameters.negative_prompt or ""
    tokens = [token for token in entry.embedding_tokens if token in former and token not in text]
    return ", ".join([*tokens, *([text] if text else [])]) or None


def _without_lists(settings: Hyperparameters) -> str | None:
    """The further arguments of the call without lists of steps."""
    return _json({key: each for key, each in json.loads(settings.extra or "{}").items() if key not in STEP_LISTS})


def _json(values: Mapping[str, Any]) -> str | None:
    return json.dumps(values, ensure_ascii=False, sort_keys=True) if values else None


def _shown(place: str, key: str, value: Value) -> str:
    return f'settings ["{place}"] {key} = {value!r}' if place else f"--{key.replace('_', '-')} {value}"


def _some(names: Sequence[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest:,} more" if rest > 0 else "")
