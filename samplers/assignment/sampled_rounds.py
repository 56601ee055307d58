"""Which rounds are sampled, and with which prompts: the recipe of this run's options, after those of earlier rounds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from captioning.prompt import prompt_parts, require_all_parts
from captioning.prompt_table import PromptTable
from crawler.catalog import CatalogEntry
from samplers.options import SampleOptions
from samplers.planning.chosen_store import chosen_store
from samplers.planning.prompting import PromptPool
from samplers.planning.recipe import BATCHES_A_PART, BY_ROUND, Recipe, recorded_recipes, require_one_kind
from samplers.planning.reservation import Reservation
from samplers.planning.round_prompts import pool_of, pools_of
from samplers.weights.fetching import Fetcher
from workspace import recipe as recipes_file
from workspace.errors import UsageError
from workspace.hub_access import HubAccess
from workspace.layout import Workspace
from workspace.removed import Removals
from workspace.repo_id import split_revision

_COMMIT_LENGTH = 40


@dataclass(frozen=True)
class SampledRounds:
    """The rounds that a run samples, in order."""

    recipes: tuple[Recipe, ...]
    """The last one is that of the run's options."""
    prompts: Mapping[int, PromptPool]
    """Of each round, by its number."""
    notes: Sequence[str] = ()
    """What the user should know before it is sampled."""

    @property
    def recipe(self) -> Recipe:
        """Of the newest round."""
        return self.recipes[-1]


def rounds_to_sample(
    workspace: Workspace,
    options: SampleOptions,
    catalog: Sequence[CatalogEntry],
    chosen: Sequence[CatalogEntry],
    removals: Removals,
    *,
    dry_run: bool = False,
    mapped: Path | None = None,
) -> SampledRounds:
    """The rounds up to that of the options, for the `chosen` generators of the catalogue.

    `mapped`: a file with all prompts. `dry_run`: before captioning too, and without asking the Hub for a first run.

    Raises `UsageError` for a workspace of another version, for other settings than the workspace's without
    `options.update`, while captioning has not ended and for settings of generators that cannot be; `HubError` where the
    Hub does not give the checker's commit.
    """
    former = recorded_recipes(workspace)
    held = map(removals.hidden, options.holdout), map(removals.hidden, options.validation)
    reservation = Reservation.named(float(options.evaluation_prompts), *held)
    reservation.holdouts.require_known(catalog)
    user_settings = options.user_settings
    known = {name for one in former for name in one.settings or {}}
    known |= {name for name in user_settings.named if removals.generator(name) is not None}
    notes = [*user_settings.check(catalog, chosen, known)]
    if dry_run and (missing := _missing_prompts(workspace, chosen)) is not None:
        prompts = PromptTable.of(())
        options = replace(options, source_weights={})
        notes.append(missing)
    else:
        require_all_parts(workspace)
        prompts = PromptTable.read(workspace) if mapped is None else PromptTable.mapped(mapped)
    store, why = chosen_store(workspace, options, former, chosen)
    notes += filter(None, [prompts.former_version, why])
    is_offline = options.offline or (dry_run and not former)
    recipe = Recipe(
        images=options.images,
        batch_size=options.images_a_batch,
        max_tries=options.tries,
        seed=options.seed,
        steps=options.steps,
        safety_checker=pinned_checker(options.safety_checker, None if is_offline else options.hub),
        prompts=None,
        source_weights=None,
        store=store,
        allow_pickle=options.allow_pickle,
        images_per_prompt=options.images_per_prompt,
        evaluation_prompts=reservation.share,
        holdout=[str(holdout) for holdout in reservation.holdouts.test] or None,
        validation=[str(holdout) for holdout in reservation.holdouts.validation] or None,
        guidance_scale=options.guidance_scale,
        width=options.width,
        height=options.height,
        negative_prompt=options.negative_prompt,
        scheduler=options.scheduler,
        settings={name: dict(values) for name, values in user_settings.named.items()} or None,
        batches_a_part=former[-1].batches_a_part if former else BATCHES_A_PART,
    )
    recipe, newest = _of_round(workspace, recipe, prompts, options)
    recipes = (*(one for one in former if one.round < recipe.round), recipe)
    for one in recipes[:-1]:
        require_one_kind(one, recipe)
    pools = pools_of(recipes, prompts, newest)
    return SampledRounds(recipes, pools, notes)


def _missing_prompts(workspace: Workspace, chosen: Sequence[CatalogEntry]) -> str | None:
    """What captioning has not made yet; None: nothing, or nobody needs prompts."""
    try:
        require_all_parts(workspace)
    except UsageError as error:
        return str(error)
    if prompt_parts(workspace) or not any(entry.task == "text-to-image" for entry in chosen):
        return None
    return f"{workspace.prompts} holds no prompts: run `cf-caption` before `cf-sample`"


def _of_round(
    workspace: Workspace, recipe: Recipe, prompts: PromptTable, options: SampleOptions
) -> tuple[Recipe, PromptPool]:
    """The recipe with its round, and the prompts of that, on which the digest and the weight of each source depend."""
    number = recipes_file.round_of(
        workspace, "sample", recipe.table(), options.update, by_round=(*BY_ROUND, "source_weights")
    )
    given = replace(recipe, source_weights=dict(options.source_weights))
    while True:
        pool = pool_of(number, prompts, given)
        recipe = replace(
            recipe,
            round=number,
            prompts=pool.digest,
            source_weights=pool.weights if options.source_weights else None,
        )
        # With other weights it may be another round, whose prompts are more.
        number = recipes_file.round_of(workspace, "sample", recipe.table(), options.update, by_round=BY_ROUND)
        if number <= recipe.round:
            return recipe, pool


def pinned_checker(checker: str, hub: HubAccess | None) -> str:
    """The checker as repository@commit; the Hub is asked where `checker` names no commit (None: it stays as it is)."""
    try:
        repo_id, revision = split_revision(checker)
    except UsageError as error:
        raise UsageError(f"--safety-checker: {error}") from error
    if hub is None or (revision is not None and len(revision) == _COMMIT_LENGTH):
        return checker
    commit, _ = Fetcher(hub).listing(repo_id, revision)
    return f"{repo_id}@{commit}"
