import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.catalog import CatalogEntry, Hyperparameters, HyperparameterSources
from samplers.planning.prompting import PromptPool
from samplers.planning.recipe import Recipe
from tests.records import catalog_entry
from tests.samplers.planning.test_prompting import _prompts
from tests.samplers.plans import plan_of
from workspace.errors import UsageError
from workspace.identity import seed_of
from workspace.layout import Workspace
from workspace.recipe import pin, read

POOL = PromptPool(_prompts(a=["a cat", "a dog", "a horse"]))


def _entry(**changes: Any) -> CatalogEntry:
    return catalog_entry(**{"hyperparameters": Hyperparameters(num_inference_steps=25), **changes})


def _recipe(**changes: Any) -> Recipe:
    values = {"images": 4, "batch_size": 3, "max_tries": 8, "seed": 0, "steps": None}
    return Recipe(**{**values, "safety_checker": "org/checker@" + "b" * 40, "prompts": POOL.digest, **changes})


def test_a_plan_depends_on_nothing_but_its_inputs() -> None:
    assert plan_of(_entry(), POOL, _recipe()) == plan_of(_entry(), POOL, _recipe())


def test_every_sample_has_a_seed_of_its_own() -> None:
    plan = plan_of(_entry(), POOL, _recipe())
    assert [each.seed for each in plan.samples] == [seed_of("org/name", "a" * 40, 0, index) for index in range(8)]
    others = (_entry(model_name="org/other"), _entry(revision="c" * 40))
    seeds = {each.seed for entry in (_entry(), *others) for each in plan_of(entry, POOL, _recipe()).samples}
    seeds |= {each.seed for each in plan_of(_entry(), POOL, _recipe(seed=1)).samples}
    assert len(seeds) == 4 * 8


def test_more_tries_do_not_change_the_first_ones() -> None:
    few, many = (plan_of(_entry(), POOL, _recipe(max_tries=count)) for count in (5, 50))
    assert many.samples[:5] == few.samples


@given(st.integers(1, 10), st.integers(1, 40), st.integers(0, 39))
def test_batches_are_fixed_wherever_one_begins(batch_size: int, tries: int, start: int) -> None:
    plan = plan_of(_entry(task="unconditional"), POOL, _recipe(images=1, batch_size=batch_size, max_tries=tries))
    whole = list(plan.batches(0))
    assert [each.index for batch in whole for each in batch] == list(range(tries))
    rest = list(plan.batches(start))
    assert rest == (whole[start // batch_size :] if start < tries else [])


def test_steps_of_the_recipe_override_those_of_the_card() -> None:
    assert plan_of(_entry(), POOL, _recipe()).hyperparameters.num_inference_steps == 25
    assert plan_of(_entry(), POOL, _recipe(steps=3)).hyperparameters.num_inference_steps == 3


def test_steps_of_the_recipe_override_lists_of_steps() -> None:
    entry = _entry(
        hyperparameters=Hyperparameters(num_inference_steps=2, extra='{"eta": 1.0, "timesteps": [999, 499]}')
    )
    assert plan_of(entry, POOL, _recipe()).extra == {"eta": 1.0, "timesteps": [999, 499]}
    assert plan_of(entry, POOL, _recipe(steps=3)).extra == {"eta": 1.0}
    only = _entry(hyperparameters=Hyperparameters(extra='{"sigmas": [1.0, 0.5]}'))
    assert plan_of(only, POOL, _recipe(steps=3)).hyperparameters == Hyperparameters(num_inference_steps=3)


def test_what_the_catalogue_says_of_an_adapter_is_in_the_plan() -> None:
    sources = HyperparameterSources(adapter_scale="card")
    about = {"adapter_file": "a/b.safetensors", "embedding_file": "e.safetensors", "embedding_tokens": ("<s0>", "<s1>")}
    plan = plan_of(_entry(kind="lora", hyperparameter_sources=sources, **about), POOL, _recipe())
    assert {name: getattr(plan, name) for name in about} == about
    assert plan.sources == sources


def test_a_token_of_the_negative_prompt_is_not_added_to_the_prompt() -> None:
    settings = Hyperparameters(trigger_words="<bad>", negative_prompt="ugly, <bad>")
    negative = plan_of(_entry(kind="textual-inversion", hyperparameters=settings), POOL, _recipe())
    assert negative.trigger_words is None
    assert {each.prompt for each in negative.samples} == {"a cat", "a dog", "a horse"}
    lora = plan_of(_entry(kind="lora", hyperparameters=settings), POOL, _recipe())
    assert all(each.prompt.startswith("<bad>, ") for each in lora.samples)


def test_trigger_words_are_in_the_prompt_once() -> None:
    entry = _entry(hyperparameters=Hyperparameters(trigger_words="a cat"))
    prompts = {each.prompt for each in plan_of(entry, POOL, _recipe()).samples}
    assert prompts == {"a cat", "a cat, a dog", "a cat, a horse"}


@pytest.mark.parametrize("task", ["unconditional", "class-conditional"])
def test_only_text_to_image_generators_get_prompts(task: str) -> None:
    plan = plan_of(_entry(task=task), POOL, _recipe())
    assert {(each.prompt, each.prompt_id, each.real_source) for each in plan.samples} == {(None, None, None)}


def test_a_text_to_image_generator_without_prompts_is_refused() -> None:
    with pytest.raises(UsageError, match="cf-caption"):
        plan_of(_entry(), PromptPool([]), _recipe())


def test_prompts_are_drawn_by_the_weights_of_their_sources() -> None:
    pool = PromptPool(_prompts(a=[f"a{n}" for n in range(50)], b=[f"b{n}" for n in range(50)]), {"a": 3})
    tries = plan_of(_entry(), pool, _recipe(max_tries=40, source_weights=pool.weights)).samples
    assert 29 <= sum(each.real_source == "a" for each in tries) <= 31


def test_weights_are_in_the_recipe_only_where_they_are_given(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path)
    pin(workspace, "sample", _recipe(source_weights={"a": 3.0, "b": 1.0}).table())
    assert read(workspace)["sample"]["source_weights"] == {"a": 3.0, "b": 1.0}
    pin(workspace, "sample", _recipe(source_weights={"a": 3.0, "b": 1.0}).table())
    with pytest.raises(UsageError, match=r"source_weights was \{'a': 3.0, 'b': 1.0\}, now unset"):
        pin(workspace, "sample", _recipe().table())


def test_every_field_of_the_recipe_is_pinned() -> None:
    recipe = _recipe()
    assert {"round": 1, **recipe.table()} == dataclasses.asdict(recipe)


@given(st.integers(1, 6), st.integers(1, 20))
def test_each_drawn_prompt_is_used_several_times_in_a_row_with_other_seeds(times: int, tries: int) -> None:
    once = plan_of(_entry(), POOL, _recipe(images=1, max_tries=tries)).samples
    plan = plan_of(_entry(), POOL, _recipe(images=1, max_tries=tries, images_per_prompt=times)).samples
    assert [each.prompt_id for each in plan] == [once[index // times].prompt_id for index in range(tries)]
    assert [each.seed for each in plan] == [each.seed for each in once]
    assert len({each.seed for each in plan}) == tries
