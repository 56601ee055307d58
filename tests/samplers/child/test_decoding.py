"""What is seen of a pipeline's last step: its time, its precision, and what it can be mended from."""

import contextlib
import copy
import time
from typing import Any

import numpy as np
import pytest
import torch

from samplers.child.calling import Caller
from samplers.child.clock import Clock
from samplers.child.loading import Generator
from tests.samplers.child.making import plan


def _stable_diffusion() -> Any:
    from demo.zoo.stable_diffusion import base_unet, pipeline

    made = pipeline(base_unet(), safety_checker=None)
    made.set_progress_bar_config(disable=True)
    return made


def _overflowing() -> Any:
    """In 16 bits, with a decoder whose first values are beyond them; a norm brings them back in 32."""
    pipeline = _stable_diffusion().to(torch.float16)
    pipeline.vae.decoder.conv_in.weight.data.mul_(3e4)
    return pipeline


def _ask(pipeline: Any, clock: Clock | None = None, tries: int = 2, task: str = "text-to-image") -> Any:
    wanted = plan(task, tries=tries)
    caller = Caller(Generator(pipeline, "float16"), wanted, tries, clock)
    return caller, caller(wanted.tries)


def test_a_picture_that_16_bits_cannot_hold_is_decoded_again_in_32() -> None:
    pipeline = _overflowing()
    before = copy.deepcopy(pipeline.vae.state_dict())
    caller, shots = _ask(pipeline)
    assert [shot.vae_dtype for shot in shots] == ["float32"] * 2
    assert caller.mended
    assert all(np.isfinite(shot.picture).all() and shot.picture.std() > 0 for shot in shots)
    # The VAE is what it was: the next batch begins like the first.
    assert pipeline.vae.dtype == torch.float16
    assert all((tensor == before[name]).all() for name, tensor in pipeline.vae.state_dict().items())
    assert all((a.picture == b.picture).all() for a, b in zip(shots, _ask(pipeline)[1], strict=True))


def test_a_mended_picture_is_that_of_a_vae_in_32_bits() -> None:
    pipeline = _overflowing()
    _, shots = _ask(pipeline)
    wanted = plan("text-to-image", tries=2)
    noise = [torch.Generator("cpu").manual_seed(each.seed) for each in wanted.tries]
    prompts = [str(each.prompt) for each in wanted.tries]
    latents = pipeline(prompts, generator=noise, num_inference_steps=2, output_type="latent").images
    vae = pipeline.vae.float()
    with torch.no_grad():
        decoded = vae.decode(latents.float() / vae.config.scaling_factor, return_dict=False)[0]
    expected = pipeline.image_processor.postprocess(decoded, output_type="np")
    assert np.abs(np.stack([shot.picture for shot in shots]) - expected).max() < 0.01


def test_only_the_pictures_that_are_broken_are_mended() -> None:
    pipeline = _stable_diffusion().to(torch.float16)
    _, whole = _ask(pipeline)
    broken = _stable_diffusion().to(torch.float16)

    def spoil(_: Any, __: Any, output: Any) -> Any:
        if output.dtype == torch.float16:
            output[1] = torch.nan
        return output

    broken.vae.decoder.register_forward_hook(spoil)
    _, shots = _ask(broken)
    assert [shot.vae_dtype for shot in shots] == ["float16", "float32"]
    assert (shots[0].picture == whole[0].picture).all()
    assert np.isfinite(shots[1].picture).all()


def test_latents_that_are_not_numbers_stay_what_they_are() -> None:
    pipeline = _stable_diffusion().to(torch.float16)
    pipeline.unet.conv_out.bias.data.fill_(torch.nan)
    # Some decoders make a picture of anything.
    pipeline.vae.decoder.register_forward_hook(
        lambda _, __, output: torch.rand_like(output) if output.dtype == torch.float32 else output
    )
    caller, shots = _ask(pipeline)
    assert [shot.vae_dtype for shot in shots] == ["float16"] * 2
    assert not caller.mended
    assert all(np.isnan(shot.picture).any() for shot in shots)


def test_a_decoder_that_does_not_fit_leaves_the_picture_as_it_is() -> None:
    pipeline = _overflowing()

    def refuse(_: Any, arguments: tuple[Any, ...]) -> None:
        if arguments[0].dtype == torch.float32:
            raise ValueError("16 bits only")

    pipeline.vae.decoder.register_forward_pre_hook(refuse)
    _, shots = _ask(pipeline)
    assert [shot.vae_dtype for shot in shots] == ["float16"] * 2
    assert pipeline.vae.dtype == torch.float16


def test_decoding_is_a_phase_of_its_own_and_leaves_no_trace() -> None:
    pipeline = _stable_diffusion()
    clock = Clock()
    with clock("sample"):
        _ask(pipeline, clock)
    assert set(clock.seconds) == {"sample", "decode"}
    assert all(seconds > 0 for seconds in clock.seconds.values())
    assert "decode" not in vars(pipeline.vae)


def test_pipelines_without_a_decoder_say_so() -> None:
    from demo.zoo.unconditional import ddim

    clock = Clock()
    _, shots = _ask(ddim(), clock, task="unconditional")
    assert [shot.vae_dtype for shot in shots] == [None, None]
    assert clock.seconds == {}


@pytest.mark.parametrize("fails", [False, True])
def test_a_phase_inside_another_counts_once(fails: bool) -> None:
    clock = Clock()
    started = time.perf_counter()
    with contextlib.suppress(RuntimeError), clock("outer"), clock("inner"):
        time.sleep(0.02)
        if fails:
            raise RuntimeError
    passed = time.perf_counter() - started
    assert clock.seconds["inner"] >= 0.02
    assert sum(clock.seconds.values()) <= passed
