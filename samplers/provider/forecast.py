"""What remote generators would cost, before anything is requested; and the lines that say it."""

import dataclasses
import json
import math
import os
from dataclasses import dataclass

from rich.table import Table

from samplers.options import SampleOptions
from samplers.provider.ledger import Spent
from samplers.provider.options import RemoteOptions
from samplers.provider.owed import foreseen, spent_of
from samplers.provider.recipes import find_generators
from samplers.provider.run import RemoteReport, limits_of
from samplers.storage.progress import progress_of
from workspace.layout import Workspace
from workspace.number_text import counted
from workspace.terminal import Console


@dataclass(frozen=True, kw_only=True)
class RemoteForecast:
    """What one remote generator would cost."""

    generator: str
    provider: str
    model: str
    images: int
    """To deliver, where no limit is in the way."""
    tries: int
    """Requests at most: refusals and rejected images are replaced so far."""
    price: float | None
    """US dollars for an image; None: not known."""
    price_source: str | None
    """Where the price was read, and when."""
    cost: float | None
    """US dollars of `images`, where none is rejected."""
    allowed: int
    """Images that the limits let it request now, after the generators before it."""
    spent: Spent
    """So far."""
    key: str
    """The variable of the environment that must have the key."""
    has_key: bool


@dataclass(frozen=True, kw_only=True)
class RemoteForecasts:
    """What a run would request."""

    generators: tuple[RemoteForecast, ...]
    notes: tuple[str, ...]


def forecast_remote(
    workspace: Workspace, options: RemoteOptions, sampling: SampleOptions = SampleOptions()
) -> RemoteForecasts:
    """What a run with these options would request and cost. Nothing is written, nobody is asked, no key is needed, and
    prompts neither. Raises `UsageError` as `samplers.provider.run.sample_remote`."""
    generators = find_generators(options.remote)
    limits = limits_of(options, generators)
    owed, rounds = foreseen(workspace, generators, sampling)
    spent = spent_of(workspace, owed)
    found = []
    for one in owed:
        images, own = one.missing(workspace), spent_of(workspace, [one])
        allowed = int(min(images, limits.left(spent, one.price)))
        spent += Spent(allowed, allowed * one.price)
        generator = one.generator
        sources = filter(None, (generator.price_link, generator.price_date))
        tried = progress_of(workspace, one.name).tries
        found.append(
            RemoteForecast(
                generator=one.name,
                provider=generator.provider,
                model=generator.model,
                images=images,
                tries=sum(segment.stop - segment.first for segment in one.segments) - tried,
                price=generator.price,
                price_source=", ".join(sources) or None,
                cost=None if generator.price is None else math.fsum([generator.price] * images),
                allowed=allowed,
                spent=own,
                key=generator.key,
                has_key=bool(os.environ.get(generator.key)),
            )
        )
    return RemoteForecasts(generators=tuple(found), notes=tuple(rounds.notes))


def show_forecasts(forecasts: RemoteForecasts, *, as_json: bool) -> None:
    """Print them; or as one line of JSON: the fields of `RemoteForecasts`, money in US dollars."""
    if as_json:
        print(json.dumps(dataclasses.asdict(forecasts)))  # noqa: T201 - rich would break the line
        return
    console = Console()
    table = Table()
    table.add_column("generator", overflow="fold")
    for name in ("images", "price", "cost", "within limits", "spent"):
        table.add_column(name, justify="right")
    for one in forecasts.generators:
        price = "unknown" if one.price is None else f"${one.price:g}"
        cost = "unknown" if one.cost is None else f"${one.cost:,.2f}"
        table.add_row(one.generator, str(one.images), price, cost, str(one.allowed), f"${one.spent.dollars:,.2f}")
    console.print(table)
    for one in forecasts.generators:
        console.print(
            f"{one.generator}: {one.model} of {one.provider}; price: "
            f"{one.price_source or 'no source is named'}; prices change: compare it with the provider's",
            soft_wrap=True,
        )
        if not one.has_key:
            console.print(f"{one.generator}: the variable {one.key} must have the provider's key", soft_wrap=True)
    console.print("refusals and rejected images are replaced, within the limits; nothing was requested")
    for note in forecasts.notes:
        console.print(note, soft_wrap=True)


def show_reports(reports: list[RemoteReport]) -> None:
    """Print what a run made of each remote generator."""
    console = Console()
    for one in reports:
        statuses = ", ".join(f"{count} {status}" for status, count in sorted(one.statuses.items()))
        console.print(f"{one.generator}: {one.kept} of {counted(one.images, 'image')} ({statuses or 'no rows'})")
        cost = "at an unknown price" if one.price is None else f"{one.spent.dollars:.2f} US dollars"
        line = f"{one.generator}: {counted(one.spent.images, 'image')} paid, {cost}, of all runs"
        if one.spent.uncertain:
            line += f"; {one.spent.uncertain} of them did not come, and may be paid: look at the provider's bill"
        console.print(line, soft_wrap=True)
        if one.ended is not None:
            console.print(f"{one.generator}: ended early: {one.ended}", soft_wrap=True)
