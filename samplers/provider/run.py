"""Samples remote generators: one after the other, each as far as its provider and the limits let.

Before anything is paid for, everything else must work: the keys are there, the workspace has prompts, the safety
checker is loaded. What a former run left in the ledger comes first. A provider that fails costs its generator only.
"""

import functools
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from engines.claims import Claims, claims_of
from samplers.foreign.examiner import Examiner
from samplers.foreign.storing import store_foreign
from samplers.options import SampleOptions
from samplers.provider.delivering import Deliveries
from samplers.provider.download import Downloads
from samplers.provider.key import Key
from samplers.provider.ledger import Ledger, Spent
from samplers.provider.options import RemoteOptions
from samplers.provider.owed import Owed, added
from samplers.provider.pace import StoppedError
from samplers.provider.recipes import OPENAI, RemoteGenerator, find_generators
from samplers.provider.requesting import Requests
from samplers.provider.sealing import Seal
from samplers.provider.services import service_of
from samplers.provider.spending import Limits
from samplers.storage.progress import progress_of
from samplers.weights.fetching import Fetcher
from samplers.weights.process_folder import ProcessFolder, default_weights_dir
from samplers.weights.store import WeightStore
from workspace.errors import CommunityForensicsError, UsageError
from workspace.extras import require_extra
from workspace.layout import Workspace
from workspace.progress import Task, task
from workspace.removed import read_removals
from workspace.roots import read_places


@dataclass(frozen=True, kw_only=True)
class RemoteReport:
    """What a run made of one remote generator."""

    generator: str
    images: int
    """That it should have."""
    kept: int
    """Distinct images that it has."""
    statuses: Mapping[str, int] = field(default_factory=dict)
    """All its rows by status."""
    spent: Spent
    """Of all runs."""
    price: float | None
    """US dollars for an image; None: not known."""
    ended: str | None = None
    """Why images are missing; None: none is, or all tries are used."""
    failed: bool = False
    """Whether that is an error, and not a limit."""


def sample_remote(
    workspace: Workspace, options: RemoteOptions, sampling: SampleOptions = SampleOptions()
) -> list[RemoteReport]:
    """Request and store what is missing of the remote generators; `sampling` as for all generators.

    Raises `UsageError` without a key, a limit, a price that a limit needs, or prompts, and for options that do not fit
    the workspace; `CommunityForensicsError` without a working safety checker, or while another process is at one of
    them. What a provider does wrong is in the reports.
    """
    if workspace.remote is not None:
        raise UsageError("--remote needs a workspace on a disk: its ledger is written before and after each request")
    generators = find_generators(options.remote)
    limits = limits_of(options, generators)
    require_extra("sample", "cf-sample --remote")
    if any(one.provider == OPENAI for one in generators):
        require_extra("remote", "cf-sample --remote")
    keys = {one.name: Key.of_environment(one.key) for one in generators}
    owed, rounds = added(workspace, generators, sampling)
    removals = read_removals(workspace)
    with (
        claims_of(workspace, "sample") as claims,
        ProcessFolder(sampling.weights_dir or default_weights_dir()) as folder,
        ExitStack() as stack,
    ):
        removals.require_current(workspace)
        for one in owed:
            if not stack.enter_context(claims.claim(one.name)):
                raise CommunityForensicsError(
                    f"another process requests images of {one.name}{claims.holder(one.name)}: wait until it has ended"
                )
        # Read under the claims: nobody else writes them.
        ledgers = {one.name: _ledger(stack, workspace, one, keys[one.generator.name]) for one in owed}
        store = WeightStore(folder, Fetcher(sampling.hub, read_places(workspace)), sampling.disk_bytes)
        checker, _, commit = rounds.recipe.safety_checker.partition("@")
        examiner = stack.enter_context(
            Examiner(lambda: store.fetch_checker(checker, commit), sampling.device, hashes=False)
        )
        if any(one.missing(workspace) or ledgers[one.name].open_requests for one in owed):
            examiner.start()
        bar = stack.enter_context(task("requesting", sum(one.images for one in owed)))
        for note in rounds.notes:
            bar.say(note)
        run = _Run(workspace, options, limits, claims, examiner, ledgers, bar)
        return [run.sample(one, keys[one.generator.name]) for one in owed]


def limits_of(options: RemoteOptions, generators: Sequence[RemoteGenerator]) -> Limits:
    """The limits of the options. Raises `UsageError` where there are none, or where a limit needs a price."""
    if options.max_images is None and options.max_cost is None:
        raise UsageError("say what may be paid for: --max-cost DOLLARS, or --max-images NUMBER")
    unknown = next((one for one in generators if one.price is None), None)
    if options.max_cost is not None and unknown is not None:
        raise UsageError(
            f"--max-cost needs the price of an image of {unknown.name}: write it into a TOML file "
            "(docs/commercial-generators.md) and name that, or use --max-images"
        )
    return Limits(options.max_images, options.max_cost)


class _Run:
    """A run in which everything but the providers is ready."""

    def __init__(
        self,
        workspace: Workspace,
        options: RemoteOptions,
        limits: Limits,
        claims: Claims,
        examiner: Examiner,
        ledgers: Mapping[str, Ledger],
        bar: Task,
    ) -> None:
        self._workspace, self._options, self._limits = workspace, options, limits
        self._claims, self._examiner, self._ledgers, self._bar = claims, examiner, ledgers, bar

    def sample(self, owed: Owed, key: Key) -> RemoteReport:
        """Request and store what is missing of one generator."""
        ledger = self._ledgers[owed.name]
        stored = {row.index for row in progress_of(self._workspace, owed.name).rows}
        for request in ledger.open_requests:
            # A process was killed after it had stored the row.
            if request.index in stored:
                ledger.stored(request.index)
        with ExitStack() as stack:

            @functools.cache
            def requests_of(first: int) -> Requests:
                service = service_of(owed.generator, key, owed.plan_of(first))
                stack.callback(service.close)
                downloads = Downloads(service.address)
                stack.callback(downloads.close)
                return Requests(
                    service,
                    downloads,
                    ledger,
                    key,
                    price=owed.price,
                    limits=self._limits,
                    spent=self._spent,
                    at_once=self._options.requests,
                    per_minute=owed.generator.per_minute,
                    repeat_unanswered=self._options.repeat_unanswered,
                    check=functools.partial(self._claims.check, owed.name),
                )

            deliveries = Deliveries(owed, ledger, lambda index: requests_of(owed.plan_of(index).first))
            return self._stored(owed, ledger, deliveries)

    def _stored(self, owed: Owed, ledger: Ledger, deliveries: Deliveries) -> RemoteReport:
        before = len(progress_of(self._workspace, owed.name).kept)
        self._bar.advance(before, note=owed.name)

        def advance(rows: int) -> None:
            deliveries.stored(rows)
            self._bar.advance(rows, note=f"{owed.name}: {_money(ledger.spent)}")

        while True:
            deliveries.need(owed.missing(self._workspace))
            stored = store_foreign(
                self._workspace,
                self._claims,
                owed.entry,
                owed.segments,
                deliveries.images,
                self._examiner,
                origin="delivered",
                advance=advance,
            )
            if stored.outcome is not None or deliveries.error is not None:
                break
            assert stored.new, f"{owed.name}: nothing is delivered, and nothing is in the way"
        error = deliveries.error
        if error is not None and not isinstance(error, StoppedError | CommunityForensicsError):
            raise error
        return RemoteReport(
            generator=owed.name,
            images=owed.images,
            kept=len(progress_of(self._workspace, owed.name).kept),
            statuses=stored.statuses,
            spent=ledger.spent,
            price=owed.generator.price,
            ended=None if stored.outcome is not None else str(error),
            failed=stored.outcome is None and not isinstance(error, StoppedError),
        )

    def _spent(self) -> Spent:
        return sum((ledger.spent for ledger in self._ledgers.values()), Spent())


def _ledger(stack: ExitStack, workspace: Workspace, owed: Owed, key: Key) -> Ledger:
    ledger = Ledger(workspace.requests_of(owed.name), Seal(key.value, owed.name))
    stack.callback(ledger.close)
    return ledger


def _money(spent: Spent) -> str:
    return f"{spent.images} images paid, {spent.dollars:.2f} US dollars"
