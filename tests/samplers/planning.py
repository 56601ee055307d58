"""The plan of a generator in one round."""

from crawler.catalog import CatalogEntry
from samplers.plan import Plan, plans_of
from samplers.prompting import PromptPool
from samplers.recipe import Recipe
from samplers.segments import segments_of


def plan_of(entry: CatalogEntry, pool: PromptPool, recipe: Recipe) -> Plan:
    """The plan of a generator that one round samples."""
    return plans_of(entry, segments_of(entry, (recipe,)), {recipe.round: pool})[0]
