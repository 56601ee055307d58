import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from crawler.base_settings import with_base_settings
from crawler.catalog import Hyperparameters, HyperparameterSources

Settings = tuple[Hyperparameters, HyperparameterSources]


def of_card(**values: Any) -> Settings:
    return Hyperparameters(**values), HyperparameterSources(**dict.fromkeys(values, "card"))


def test_the_own_card_comes_before_the_bases_and_that_before_configurations_and_defaults() -> None:
    own = (
        Hyperparameters(num_inference_steps=8, guidance_scale=7.5, height=512, scheduler="PNDMScheduler"),
        HyperparameterSources(
            num_inference_steps="card", guidance_scale="default", height="config", scheduler="config"
        ),
    )
    base = of_card(num_inference_steps=1, guidance_scale=0.0, scheduler="LCMScheduler", negative_prompt="blurry")
    values, sources = with_base_settings(own, base)
    assert (values.num_inference_steps, values.guidance_scale, values.height) == (8, 0.0, 512)
    assert (values.scheduler, values.negative_prompt) == ("LCMScheduler", "blurry")
    assert (sources.num_inference_steps, sources.guidance_scale, sources.scheduler) == ("card", "base", "base")


def test_what_the_base_has_from_elsewhere_than_its_card_is_not_taken() -> None:
    base = Hyperparameters(num_inference_steps=50), HyperparameterSources(num_inference_steps="default")
    own = Hyperparameters(), HyperparameterSources()
    assert with_base_settings(own, base) == own


def test_trigger_words_and_scale_are_never_the_bases() -> None:
    own = Hyperparameters(), HyperparameterSources()
    assert with_base_settings(own, of_card(trigger_words="modern disney style", adapter_scale=0.5)) == own


def test_the_token_of_a_negative_embedding_is_not_replaced_by_the_bases_negative_prompt() -> None:
    own = Hyperparameters(negative_prompt="<bad>"), HyperparameterSources(negative_prompt="config")
    assert with_base_settings(own, of_card(negative_prompt="blurry")) == own


def test_the_settings_of_a_scheduler_go_with_it() -> None:
    base = of_card(scheduler="LCMScheduler", scheduler_config='{"timestep_spacing": "trailing"}')
    values, sources = with_base_settings(of_card(scheduler="DDIMScheduler"), base)
    assert (values.scheduler, values.scheduler_config, sources.scheduler_config) == ("DDIMScheduler", None, None)
    values, sources = with_base_settings(of_card(guidance_scale=2.0), base)
    assert (values.scheduler_config, sources.scheduler_config) == (base[0].scheduler_config, "base")


def test_other_arguments_are_completed_one_by_one() -> None:
    base = of_card(extra='{"clip_skip": 2, "timesteps": [999, 499]}')
    values, sources = with_base_settings(of_card(extra='{"eta": 1.0}'), base)
    assert json.loads(values.extra or "") == {"clip_skip": 2, "eta": 1.0, "timesteps": [999, 499]}
    assert sources.extra == "card"
    # A list of steps replaces their number, which the own card gives.
    values, sources = with_base_settings(of_card(num_inference_steps=30), base)
    assert (values.extra, sources.extra) == ('{"clip_skip": 2}', "base")
    schedule_only = of_card(extra='{"sigmas": [1.0, 0.5]}')
    assert with_base_settings(of_card(num_inference_steps=30), schedule_only)[0].extra is None


steps = st.none() | st.integers(1, 100)
sources_of_steps = st.sampled_from(["card", "config", "default"])


@given(steps, steps, sources_of_steps, sources_of_steps)
def test_a_value_always_has_the_source_that_it_is_from(
    own: int | None, base: int | None, own_source: Any, base_source: Any
) -> None:
    def given_by(value: int | None, source: Any) -> Settings:
        return Hyperparameters(num_inference_steps=value), HyperparameterSources(
            num_inference_steps=source if value is not None else None
        )

    values, sources = with_base_settings(given_by(own, own_source), given_by(base, base_source))
    from_base = base is not None and base_source == "card" and (own is None or own_source != "card")
    assert values.num_inference_steps == (base if from_base else own)
    assert sources.num_inference_steps == ("base" if from_base else own_source if own is not None else None)
