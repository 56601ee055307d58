"""What the user sets wins, for the generators that it is for, and what a pipeline cannot take is said."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.catalog import CatalogEntry, Hyperparameters, HyperparameterSources
from samplers.assignment.pending import find_pending
from samplers.options import SampleOptions
from samplers.planning.recipe import Recipe
from samplers.planning.segments import segments_of
from samplers.user_settings import UserSettings
from tests.records import catalog_entry
from tests.samplers.inputs import PROMPTS, write_catalog, write_prompts
from tests.samplers.planning.test_plan import POOL
from tests.samplers.planning.test_plan import _recipe as recipe
from tests.samplers.plans import plan_of
from workspace.errors import UsageError
from workspace.layout import Workspace
from workspace.recipe import pin, read

AUTHOR = Hyperparameters(
    num_inference_steps=25,
    guidance_scale=7.5,
    height=512,
    width=512,
    scheduler="PNDMScheduler",
    negative_prompt="ugly",
    extra='{"eta": 1.0, "sigmas": [1.0, 0.5], "timesteps": [999, 499]}',
)
SOURCES = HyperparameterSources(
    num_inference_steps="card",
    guidance_scale="card",
    height="config",
    width="config",
    scheduler="config",
    negative_prompt="card",
    extra="card",
)
#: Another value than the author's for every setting.
EVERY: dict[str, Any] = {
    "steps": 4,
    "guidance_scale": 2.0,
    "height": 256,
    "width": 320,
    "negative_prompt": "blurred",
    "scheduler": "DDIMScheduler",
}


def _painter(name: str = "org/painter", **changes: Any) -> CatalogEntry:
    values = {
        "hf_diffusers_tag": "StableDiffusionPipeline",
        "hyperparameters": AUTHOR,
        "hyperparameter_sources": SOURCES,
    }
    return catalog_entry(name, **values | changes)


def _pixels(name: str = "org/pixels") -> CatalogEntry:
    return catalog_entry(name, hf_diffusers_tag="DDPMPipeline", task="unconditional", architecture="PixDiff")


def _flow(name: str = "org/flow") -> CatalogEntry:
    own = Hyperparameters(scheduler="FlowMatchEulerDiscreteScheduler", prediction_type="flow")
    return _painter(name, hf_diffusers_tag="FluxPipeline", hyperparameters=own)


def test_every_value_of_the_user_wins_over_the_authors_and_is_said_to_be_the_users() -> None:
    for set_ in (recipe(**EVERY), recipe(settings={"org/painter": EVERY})):
        plan = plan_of(_painter(), POOL, set_)
        assert plan.hyperparameters == Hyperparameters(
            num_inference_steps=4,
            guidance_scale=2.0,
            height=256,
            width=320,
            negative_prompt="blurred",
            scheduler="DDIMScheduler",
            extra='{"eta": 1.0}',
        )
        users = dict.fromkeys(("num_inference_steps", *tuple(EVERY)[1:]), "user")
        assert plan.sources == HyperparameterSources(**users, extra="card")


def test_without_settings_a_row_stays_as_it_is() -> None:
    assert UserSettings().applied_to(_painter()) == _painter()


def test_settings_that_are_applied_twice_are_those_that_are_applied_once() -> None:
    settings = UserSettings(EVERY)
    once = settings.applied_to(_painter())
    assert settings.applied_to(once) == once


@pytest.mark.parametrize("keys", [("steps", "scheduler"), ("scheduler", "steps")])
def test_a_list_of_steps_is_for_the_authors_scheduler_only(keys: tuple[str, ...]) -> None:
    row = UserSettings({"scheduler": "DDIMScheduler"}).applied_to(_painter())
    applied, sources = row.hyperparameters, row.hyperparameter_sources
    assert (sources.scheduler, sources.num_inference_steps) == ("user", "card")
    assert (applied.num_inference_steps, applied.extra) == (2, '{"eta": 1.0}')
    own = UserSettings({"scheduler": "PNDMScheduler"}).applied_to(_painter())
    assert own.hyperparameters == AUTHOR
    both = UserSettings({key: EVERY[key] for key in keys}).applied_to(_painter()).hyperparameters
    assert (both.num_inference_steps, both.extra) == (4, '{"eta": 1.0}')


def test_an_empty_negative_prompt_takes_the_authors_away() -> None:
    entry = UserSettings({"negative_prompt": ""}).applied_to(_painter())
    assert (entry.hyperparameters.negative_prompt, entry.hyperparameter_sources.negative_prompt) == (None, None)


def test_the_token_of_a_negative_embedding_stays_in_the_negative_prompt() -> None:
    entry = _painter(
        kind="textual-inversion",
        embedding_tokens=("<bad>",),
        hyperparameters=Hyperparameters(negative_prompt="<bad>, ugly", trigger_words="<bad>"),
    )
    for text, expected in (("grey", "<bad>, grey"), ("", "<bad>"), ("grey, <bad>", "grey, <bad>")):
        plan = plan_of(entry, POOL, recipe(negative_prompt=text))
        assert plan.hyperparameters.negative_prompt == expected
        assert plan.trigger_words is None


def test_a_scheduler_of_the_user_has_no_settings_that_the_card_gives_to_another_one() -> None:
    stated = Hyperparameters(
        scheduler="EulerDiscreteScheduler",
        scheduler_config='{"beta_schedule": "linear", "rescale_betas_zero_snr": true, "use_karras_sigmas": true}',
    )
    entry = _painter(hyperparameters=stated)
    applied = UserSettings({"scheduler": "DDIMScheduler"}).applied_to(entry).hyperparameters
    # What says how the model was trained stays.
    assert applied.scheduler_config == '{"beta_schedule": "linear", "rescale_betas_zero_snr": true}'
    same = UserSettings({"scheduler": "EulerDiscreteScheduler"}).applied_to(entry).hyperparameters
    assert same.scheduler_config == stated.scheduler_config
    # Of those only what the class takes.
    pndm = UserSettings({"scheduler": "PNDMScheduler"}).applied_to(entry).hyperparameters
    assert pndm.scheduler_config == '{"beta_schedule": "linear"}'


def test_the_name_wins_over_patterns_and_of_these_the_longest_and_all_over_the_general_option() -> None:
    named = {"*": {"steps": 2, "width": 64}, "org/*": {"steps": 3, "height": 64}, "org/painter": {"steps": 4}}
    settings = UserSettings({"steps": 1, "guidance_scale": 1.0}, named)
    assert settings.of(_painter()) == {"steps": 4, "width": 64, "height": 64, "guidance_scale": 1.0}
    assert settings.of(_painter("org/other"))["steps"] == 3
    assert settings.of(_painter("else/other"))["steps"] == 2


@given(st.permutations(["*", "o*", "org/*", "*/painter", "org/p??nter", "org/painter", "org/[a-z]*"]))
def test_the_order_of_a_file_decides_nothing(names: list[str]) -> None:
    # "org/p??nter" has one character more than "*/painter".
    settings = UserSettings(named={name: {"steps": len(name)} for name in names if name != "org/painter"})
    assert settings.of(_painter()) == {"steps": len("org/p??nter")}


def test_two_patterns_of_the_same_length_that_contradict_each_other_are_an_error() -> None:
    settings = UserSettings(named={"org/p*": {"steps": 2}, "o*nter": {"steps": 3}})
    with pytest.raises(UsageError, match=r'give org/painter different values of steps: add it to \["org/painter"\]'):
        settings.of(_painter())
    agreed = UserSettings(named={"org/p*": {"steps": 2}, "o*nter": {"steps": 2, "width": 64}})
    assert agreed.of(_painter()) == {"steps": 2, "width": 64}
    # The table that the message asks for, or a longer pattern, ends it.
    assert UserSettings(named={**settings.named, "org/painter": {"steps": 5}}).of(_painter()) == {"steps": 5}
    assert UserSettings(named={**settings.named, "org/pain*": {"steps": 5}}).of(_painter()) == {"steps": 5}


def test_a_further_revision_has_the_settings_of_its_repository_unless_it_is_named_itself() -> None:
    further = _painter(further_revision=True)
    assert further.generator == f"org/painter@{'a' * 12}"
    named = {"org/painter": {"steps": 4, "width": 64}, further.generator: {"steps": 5}}
    assert UserSettings(named=named).of(further) == {"steps": 5, "width": 64}
    assert UserSettings(named=named).of(_painter()) == {"steps": 4, "width": 64}


def test_a_setting_that_a_named_generator_cannot_take_is_an_error() -> None:
    catalog = [_painter(), _pixels(), _flow()]
    for named, message in (
        ({"org/pixels": {"width": 64}}, r'settings \["org/pixels"\] width = 64: a DDPMPipeline takes no width; remove'),
        (
            {"org/flow": {"scheduler": "DDIMScheduler"}},
            r'settings \["org/flow"\] scheduler = .DDIMScheduler.: DDIMScheduler is for noise .* for flow matching',
        ),
    ):
        with pytest.raises(UsageError, match=message):
            UserSettings(named=named).check(catalog, catalog)


def test_generators_that_cannot_take_a_general_setting_are_counted_and_named_and_sampled_without_it() -> None:
    catalog = [_painter(), _pixels("org/a"), _pixels("org/b")]
    settings = UserSettings({"negative_prompt": "ugly"}, {"org/*": {"width": 64}})
    lines = settings.check(catalog, catalog)
    assert lines == [
        'settings ["org/*"] width = 64: 2 generators cannot take it and are sampled without it: org/a, org/b',
        "--negative-prompt ugly: 2 generators cannot take it and are sampled without it: org/a, org/b",
    ]
    assert settings.applied_to(catalog[1]) == catalog[1]
    # Of those that are not sampled in this run nothing is said.
    assert settings.check(catalog, catalog[:1]) == []
    assert settings.check(catalog, catalog[:2])[1].endswith(
        "1 generator cannot take it and is sampled without it: org/a"
    )


def test_a_line_names_twenty_generators_and_the_number_of_the_others() -> None:
    catalog = [_painter(), *(_pixels(f"org/{number:03}") for number in range(25))]
    (line,) = UserSettings({"width": 64}).check(catalog, catalog)
    assert "25 generators" in line
    assert line.endswith("org/018, org/019 and 5 more")


def test_a_setting_that_no_generator_can_take_is_an_error() -> None:
    catalog = [_pixels("org/a"), _pixels("org/b")]
    with pytest.raises(
        UsageError,
        match=r"^--width 64: no generator can take it \(org/a: a DDPMPipeline takes no width, and 1 others likewise\)$",
    ):
        UserSettings({"width": 64}).check(catalog, catalog)


def test_a_name_or_pattern_of_no_generator_is_an_error_and_one_of_incompatible_generators_is_said() -> None:
    broken = _painter("org/broken", status="incompatible", reason="gated")
    catalog = [_painter(), broken]
    with pytest.raises(
        UsageError, match=r'settings \["org/paintre"\]: .* no such generator; did you mean org/painter\?'
    ):
        UserSettings(named={"org/paintre": {"steps": 2}}).check(catalog, catalog[:1])
    with pytest.raises(UsageError, match=r'settings \["else/\*"\]: the catalogue has no such generator$'):
        UserSettings(named={"else/*": {"steps": 2}}).check(catalog, catalog[:1])
    # A generator that was removed after it was sampled: its settings are in the recipe.
    gone = UserSettings(named={"org/gone": {"steps": 2}})
    assert gone.check(catalog, catalog[:1], {"org/gone"}) == [
        'settings ["org/gone"] have no effect: the catalogue has none'
    ]
    assert UserSettings(named={"org/b*": {"steps": 2}}).check(catalog, catalog[:1]) == [
        'settings ["org/b*"] have no effect: none of its generators can be sampled (org/broken)'
    ]


@pytest.mark.parametrize(
    ("width", "message"),
    [
        (500, r"--width 500: 1 generator needs a multiple of 8, such as 496 or 504: org/painter"),
        (504, r"--width 504: 1 generator needs a multiple of 16, such as 496 or 512: org/flow"),
        (7, r"--width 7: 1 generator needs a multiple of 8, such as 8: org/painter"),
        (512, None),
    ],
)
def test_a_size_that_a_pipeline_would_refuse_or_round_is_an_error(width: int, message: str | None) -> None:
    catalog = [_painter(), _flow(), _pixels()]
    if message is None:
        assert len(UserSettings({"width": width}).check(catalog, catalog)) == 1
        return
    with pytest.raises(UsageError, match=message):
        UserSettings({"width": width}).check(catalog, catalog)


def test_images_of_one_generator_have_tries_in_proportion() -> None:
    wanted = recipe(images=4, max_tries=9, settings={"org/p*": {"images": 10}, "org/q": {"steps": 2}})
    own = wanted.of(_painter())
    assert (own.images, own.max_tries) == (10, 23)
    assert own.of(_painter()) == own
    (segment,) = segments_of(_painter(), (wanted,))
    assert (segment.images, len(plan_of(_painter(), POOL, wanted).samples)) == (10, 23)
    assert wanted.of(_painter("org/q")) == wanted.of(_painter("else/q")) == wanted


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace.open(tmp_path)
    write_catalog(workspace, [_painter(), _painter("org/other", rank=2), _pixels()])
    write_prompts(workspace, PROMPTS)
    return workspace


OPTIONS = SampleOptions(images=2, safety_checker=f"org/checker@{'0' * 40}", device="cpu")


def test_settings_are_in_the_recipe_in_words_and_cannot_drift(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text('["org/p*"]\nsteps = 3\nguidance_scale = 2\n')
    options = dataclasses.replace(OPTIONS, width=256, scheduler="DDIMScheduler", settings=path)
    pin(workspace, "sample", find_pending(workspace, options).recipe.table())
    assert '[sample.settings."org/p*"]\nsteps = 3\nguidance_scale = 2.0\n' in workspace.recipe.read_text()
    assert {name: read(workspace)["sample"][name] for name in ("width", "scheduler")} == {
        "width": 256,
        "scheduler": "DDIMScheduler",
    }
    # A mapping of Python is the same as the file.
    same = dataclasses.replace(options, settings={"org/p*": {"guidance_scale": 2.0, "steps": 3}})
    pin(workspace, "sample", find_pending(workspace, same).recipe.table())
    other = dataclasses.replace(
        options, settings={"org/p*": {"guidance_scale": 2, "steps": 4}, "org/other": {"width": 8}}
    )
    with pytest.raises(UsageError) as raised:
        pin(workspace, "sample", find_pending(workspace, other).recipe.table())
    assert "settings.org/p*.steps was 3, now 4" in str(raised.value)
    assert "settings.org/other was unset, now {'width': 8}" in str(raised.value)


def test_the_estimate_and_what_is_owed_follow_the_settings(workspace: Workspace) -> None:
    before = find_pending(workspace, OPTIONS)
    options = dataclasses.replace(OPTIONS, settings={"org/painter": {"steps": 50, "images": 6}})
    after = find_pending(workspace, options)
    assert [one.missing_images for one in before.generators] == [2, 2, 2]
    assert [one.missing_images for one in after.generators] == [6, 2, 2]
    assert after.costs["org/painter"].image > 1.5 * before.costs["org/painter"].image
    assert after.costs["org/other"] == before.costs["org/other"]
    ratio = after.assignment.seconds[0] / before.assignment.seconds[0]
    assert ratio > 2


def test_other_settings_of_one_generator_are_a_round_that_asks_for_images_of_it_only(workspace: Workspace) -> None:
    pin(workspace, "sample", find_pending(workspace, OPTIONS).recipe.table())
    changed = dataclasses.replace(OPTIONS, settings={"org/painter": {"steps": 3}})
    with pytest.raises(UsageError, match=r"settings was unset, now \{'org/painter': \{'steps': 3\}\}.*--update"):
        find_pending(workspace, changed)
    grown = find_pending(workspace, dataclasses.replace(changed, update=True))
    assert {one.entry.generator: [segment.recipe.round for segment in one.segments] for one in grown.generators} == {
        "org/painter": [1, 2],
        "org/other": [1],
        "org/pixels": [1],
    }


def test_what_generators_are_sampled_without_is_said_before_the_run(workspace: Workspace) -> None:
    pending = find_pending(workspace, dataclasses.replace(OPTIONS, guidance_scale=2.0))
    assert list(pending.notes) == [
        "--guidance-scale 2.0: 1 generator cannot take it and is sampled without it: org/pixels"
    ]


def test_a_recipe_knows_every_setting_that_options_have() -> None:
    names = {field.name for field in dataclasses.fields(Recipe)}
    assert set(EVERY) | {"settings"} <= names
