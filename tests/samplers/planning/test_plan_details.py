"""Each part of a plan that reaches a pixel or a row: a change of one of them would be another data set."""

from typing import Any

import pytest

from crawler.catalog import Hyperparameters
from samplers.planning.plan import Plan
from samplers.planning.prompting import PromptPool
from samplers.planning.recipe import Recipe
from tests.samplers.campaign import entry
from tests.samplers.planning.test_prompting import _prompts
from tests.samplers.plans import plan_of
from workspace.errors import UsageError

POOL = PromptPool(_prompts(coco=["a cat"]))


def recipe(**changes: Any) -> Recipe:
    values = {"images": 4, "batch_size": 3, "max_tries": 8, "seed": 0, "steps": None, "prompts": POOL.digest}
    return Recipe(**{**values, "safety_checker": "org/checker@" + "b" * 40, **changes})


def test_parts_and_rounds_are_as_in_existing_workspaces() -> None:
    # Workspaces of the version before do not name how many batches are a part.
    assert recipe().rows_a_part == 4 * recipe().batch_size
    assert (recipe().round, plan_of(entry(), POOL, recipe()).first) == (1, 0)


def test_the_settings_of_a_recipe_that_names_only_what_it_must() -> None:
    assert recipe().table() == {
        "images": 4,
        "batch_size": 3,
        "max_tries": 8,
        "seed": 0,
        "steps": None,
        "safety_checker": "org/checker@" + "b" * 40,
        "prompts": POOL.digest,
        "source_weights": None,
        "store": "files",
        "allow_pickle": False,
        "images_per_prompt": 1,
        "evaluation_prompts": 0.0,
        "holdout": None,
        "validation": None,
        "seed_bits": 53,
        "guidance_scale": None,
        "width": None,
        "height": None,
        "negative_prompt": None,
        "scheduler": None,
        "settings": None,
        "batches_a_part": None,
    }


@pytest.mark.parametrize(("store", "allow_pickle"), [("files", False), ("parquet", True)])
def test_a_plan_carries_the_store_and_whether_pickles_are_read(store: str, allow_pickle: bool) -> None:
    plan = plan_of(entry(), POOL, recipe(store=store, allow_pickle=allow_pickle))
    assert (plan.store, plan.allow_pickle) == (store, allow_pickle)


def test_a_plan_that_says_nothing_else_writes_files_and_reads_no_pickle() -> None:
    values = {name: getattr(plan_of(entry(), POOL, recipe()), name) for name in Plan.__dataclass_fields__}
    del values["store"], values["allow_pickle"]
    plan = Plan(**values)
    assert (plan.store, plan.allow_pickle) == ("files", False)


@pytest.mark.parametrize(
    ("extra", "arguments"), [(None, {}), ('{"num_frames": 1, "eta": 0.5}', {"num_frames": 1, "eta": 0.5})]
)
def test_further_arguments_of_the_call_are_those_of_the_catalogue(extra: str | None, arguments: dict[str, Any]) -> None:
    assert plan_of(entry(hyperparameters=Hyperparameters(extra=extra)), POOL, recipe()).extra == arguments


def test_every_prompt_names_its_real_image() -> None:
    plan = plan_of(entry(hyperparameters=Hyperparameters(trigger_words="sks")), POOL, recipe(max_tries=4))
    [planned] = {(each.prompt, each.prompt_id, each.real_source) for each in next(plan.batches(0))}
    assert planned == ("sks, a cat", "coco/0", "coco")


def test_only_generators_that_read_need_prompts() -> None:
    empty = PromptPool([])
    planned = next(plan_of(entry(task="unconditional"), empty, recipe()).batches(0))
    assert [(each.prompt, each.prompt_id, each.real_source) for each in planned] == [(None, None, None)] * 3
    with pytest.raises(UsageError, match="cf-caption"):
        plan_of(entry(task="text-to-image"), empty, recipe())


def test_a_row_without_a_task_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="no task"):
        plan_of(entry(task=None), POOL, recipe())
