from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.catalog import Hyperparameters
from samplers.planning.cost import FLOPS, LOAD_BYTES, PASS_SECONDS, cost_of
from tests.samplers.campaign import GB, entry, file

DECODER_SECONDS = 2.5e12 / FLOPS


def _image(**changes: object) -> float:
    return cost_of(entry(**changes), batch_size=8).image


def _asked(steps: int, scale: float, side: int = 512) -> Hyperparameters:
    return Hyperparameters(num_inference_steps=steps, guidance_scale=scale, height=side, width=side)


def test_the_share_of_the_denoiser_is_what_was_measured() -> None:
    """docs: 94 % at 25 guided steps, 56 % at four unguided ones, 99 % of Flux."""
    usual, few = _image(), _image(hyperparameters=_asked(4, 1.0))
    flux = _image(
        hf_diffusers_tag="FluxPipeline",
        hyperparameters=_asked(28, 3.5, 1024),
        files=(file("transformer/diffusion_pytorch_model.safetensors", 24 * GB),),
    )
    shares = [1 - DECODER_SECONDS / usual, 1 - DECODER_SECONDS / few, 1 - 4 * DECODER_SECONDS / flux]
    assert shares == pytest.approx([0.94, 0.56, 0.99], abs=0.01)


def test_the_nominal_device_takes_a_second_for_stable_diffusion() -> None:
    assert _image() == pytest.approx(1.06, abs=0.01)


def test_the_same_network_costs_the_same_in_half_and_in_full_precision_but_loads_longer() -> None:
    half = entry()
    doubled = tuple(replace(each, path=each.path.replace(".fp16", ""), size=2 * each.size) for each in half.files)
    full = entry(files=doubled, variant=None)
    costs = [cost_of(each, batch_size=8) for each in (half, full)]
    assert costs[0].image == pytest.approx(costs[1].image)
    assert costs[1].load == pytest.approx(2 * costs[0].load)


def test_an_adapter_costs_what_its_base_costs() -> None:
    base = entry()
    adapter = entry(kind="lora", files=(file("pytorch_lora_weights.safetensors", 10_000),), base_files=base.files)
    assert cost_of(adapter, batch_size=8).image == pytest.approx(_image(), rel=0.001)


def test_loading_a_decoder_costs_the_bytes_of_its_prior_too() -> None:
    alone = cost_of(entry(), batch_size=8)
    prior = (file("prior/diffusion_pytorch_model.safetensors", 4_000_000_000),)
    both = cost_of(entry(prior_model="org/prior", prior_files=prior), batch_size=8)
    assert both.load == pytest.approx(alone.load + 4_000_000_000 / LOAD_BYTES)


def test_the_smallest_networks_cost_the_time_to_start_their_passes() -> None:
    tiny = entry(
        architecture="PixDiff",
        files=(file("unet/diffusion_pytorch_model.safetensors", 1000),),
        hyperparameters=Hyperparameters(num_inference_steps=1000, height=32, width=32),
    )
    assert cost_of(tiny, batch_size=8).image == pytest.approx(1000 * PASS_SECONDS / 8)


@given(steps=st.integers(1, 2000), more=st.integers(1, 2000), side=st.sampled_from([64, 512, 1024]))
def test_more_of_anything_never_costs_less(steps: int, more: int, side: int) -> None:
    few = _image(hyperparameters=_asked(steps, 1.0, side))
    assert few <= _image(hyperparameters=_asked(steps + more, 1.0, side))
    assert few <= _image(hyperparameters=_asked(steps, 7.5, side))
    assert few < _image(hyperparameters=_asked(steps, 1.0, 2 * side))


@given(st.integers(1, 1000), st.integers(1, 1000))
def test_images_add_up_and_none_costs_nothing(first: int, second: int) -> None:
    cost = cost_of(entry(), batch_size=8)
    assert cost.seconds(0) == 0
    assert cost.seconds(first + second) + cost.load == pytest.approx(cost.seconds(first) + cost.seconds(second))


def test_without_any_setting_there_is_an_estimate() -> None:
    assert cost_of(entry(hyperparameters=Hyperparameters(), files=()), batch_size=8).image > 0
