"""Which generators of the catalogue are sampled: those that can be, and that the options choose."""

from collections.abc import Sequence

from crawler.catalog import CatalogEntry
from crawler.choice import Choice, line_of
from crawler.generator_names import named_by
from crawler.reasons import Reason
from samplers.options import SampleOptions
from workspace.errors import UsageError
from workspace.removed import Removals

#: Names that a line has.
_SHOWN = 5


def chosen_generators(
    catalog: Sequence[CatalogEntry], options: SampleOptions, removals: Removals
) -> tuple[list[CatalogEntry], list[str]]:
    """The generators that can be sampled and are chosen, by rank, and lines about the others.

    Raises `UsageError` where a generator that is named cannot be sampled, and where none is left.
    """
    choice = Choice.of(options.only, options)
    for name in choice.only.given:
        if (removed := removals.generator(name)) is not None:
            raise UsageError(f"--only {name}: it was removed from this workspace ({removed.why})")
    lines = choice.require_known(catalog)
    by_name: dict[str, list[CatalogEntry]] = {}
    for entry in catalog:
        for name in {entry.model_name, entry.generator}:
            by_name.setdefault(name, []).append(entry)
    for name in choice.only.given:
        rows = [entry for one in named_by(name, by_name) for entry in by_name[one]]
        if not any(can_be_sampled(entry, options.allow_pickle) for entry in rows):
            hint = "; --allow-pickle samples it" if any(can_be_sampled(entry, True) for entry in rows) else ""
            if rows[0].provider is not None:
                raise UsageError(f"--only {name}: its provider samples it: use --remote {name}")
            why = f"{rows[0].reason}: {rows[0].reason_detail}"
            raise UsageError(f"--only {name}: it cannot be sampled ({why}){hint}")
    ranked = sorted(catalog, key=lambda entry: (entry.rank, entry.model_name))
    able = [entry for entry in ranked if can_be_sampled(entry, options.allow_pickle)]
    reasons = {entry.generator: choice.left_out(entry) for entry in able}
    left_out = [reason for reason in reasons.values() if reason is not None]
    chosen = [entry for entry in able if reasons[entry.generator] is None]
    if left_out:
        line = line_of(left_out, len(able), "generators")
        if not chosen:
            raise UsageError(f"no generator is left to sample; {line}")
        lines.append(line)
    chosen = chosen[: options.limit]
    modules = [entry.generator for entry in chosen if entry.program is not None and entry.program.format == "python"]
    if modules:
        lines.append(f"{len(modules)} chosen are modules of this machine's user, which are run: {_some(modules)}")
    return chosen, lines


def _some(names: Sequence[str]) -> str:
    rest = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{rest}"


def can_be_sampled(entry: CatalogEntry, allow_pickle: bool) -> bool:
    """Compatible, or with pickled weights of its own or of its base model where these are allowed: the crawl lists the
    files of one that has no other problem."""
    if entry.provider is not None:
        return False  # its provider samples it: `cf-sample --remote`
    pickled = entry.reason == Reason.PICKLE_ONLY and bool(entry.files) and entry.task is not None
    complete = entry.kind == "checkpoint" or bool(entry.base_files)
    return entry.status == "compatible" or (allow_pickle and pickled and complete)


def listed_code(entry: CatalogEntry) -> str | None:
    """Why a generator is not sampled whose row lists a file of code that is none of its user's; None: it lists none.

    No crawl lists one, and `cf-add` only files of this machine.
    """
    if entry.program is not None and entry.is_local and entry.endpoint is None:
        return None
    if entry.program is not None:
        return "the catalogue has a program of a Hub: programs are never downloaded; add it with `cf-add`"
    code = next((file.path for file in entry.all_files if file.path.endswith(".py")), None)
    if code is None:
        return None
    return f"the catalogue lists a file of code, {code}: code is never downloaded; crawl again with `cf-crawl`"
