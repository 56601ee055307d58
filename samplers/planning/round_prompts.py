"""The prompts of each round: those that it and the rounds before it have added, under its weights."""

from collections.abc import Sequence

from captioning.prompt_table import PromptTable
from samplers.planning.prompting import PromptPool
from samplers.planning.recipe import Recipe
from workspace.errors import UsageError


def pool_of(number: int, prompts: PromptTable, recipe: Recipe) -> PromptPool:
    """The prompts of round `number`, of all `prompts`, with the weights and the reservation of `recipe`."""
    return PromptPool(prompts, recipe.source_weights or {}, recipe.reservation, last_round=number)


def pools_of(recipes: Sequence[Recipe], prompts: PromptTable, newest: PromptPool) -> dict[int, PromptPool]:
    """The prompts of every round by its number; `newest` are those of the last one.

    Raises `UsageError` where the prompts of an earlier round are not those that it was sampled with.
    """
    last = recipes[-1]
    pools = {last.round: newest}
    for recipe in recipes[:-1]:
        if (recipe.prompts, recipe.source_weights) == (last.prompts, last.source_weights):
            pools[recipe.round] = newest
            continue
        pool = pool_of(recipe.round, prompts, recipe)
        if recipe.prompts != pool.digest:
            raise UsageError(
                f"the prompts of round {recipe.round} are not those that it was sampled with: restore the workspace's "
                "folder prompts/, or name a new --workspace"
            )
        pools[recipe.round] = pool
    return pools
