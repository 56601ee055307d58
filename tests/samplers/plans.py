"""The plan of a generator in one round."""

from crawler.catalog import CatalogEntry
from samplers.planning.plan import Plan, plans_of
from samplers.planning.prompting import PromptPool
from samplers.planning.recipe import Recipe
from samplers.planning.segments import segments_of


def plan_of(entry: CatalogEntry, pool: PromptPool, recipe: Recipe) -> Plan:
    """The plan of a generator that one round samples."""
    return plans_of(entry, segments_of(entry, (recipe,)), {recipe.round: pool})[0]
