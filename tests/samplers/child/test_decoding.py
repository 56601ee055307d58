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
from samplers.child.effective import Effective
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
    caller = Caller(Generator(pipeline, Effective(dtype="float16")), wanted, tries, clock)
    return caller, caller(wanted.samples)


def test_an_image_that_overflows_16_bits_is_decoded_again_in_float32() -> None:
    pipeline = _overflowing()
    before = copy.deepcopy(pipeline.vae.state_dict())
    caller, images = _ask(pipeline)
    assert [image.vae_dtype for image in images] == ["float32"] * 2
    assert caller.decoded_again
    assert all(np.isfinite(image.array).all() and image.array.std() > 0 for image in images)
    # The VAE is what it was: the next batch begins like the first.
    assert pipeline.vae.dtype == torch.float16
    assert all((tensor == before[name]).all() for name, tensor in pipeline.vae.state_dict().items())
    assert all((a.array == b.array).all() for a, b in zip(images, _ask(pipeline)[1], strict=True))


def test_an_image_decoded_again_is_that_of_a_float32_vae() -> None:
    pipeline = _overflowing()
    _, images = _ask(pipeline)
    wanted = plan("text-to-image", tries=2)
    noise = [torch.Generator("cpu").manual_seed(each.seed) for each in wanted.samples]
    prompts = [str(each.prompt) for each in wanted.samples]
    latents = pipeline(prompts, generator=noise, num_inference_steps=2, output_type="latent").images
    vae = pipeline.vae.float()
    with torch.no_grad():
        decoded = vae.decode(latents.float() / vae.config.scaling_factor, return_dict=False)[0]
    expected = pipeline.image_processor.postprocess(decoded, output_type="np")
    assert np.abs(np.stack([image.array for image in images]) - expected).max() < 0.01


def test_only_broken_images_are_decoded_again() -> None:
    pipeline = _stable_diffusion().to(torch.float16)
    _, whole = _ask(pipeline)
    broken = _stable_diffusion().to(torch.float16)

    def spoil(_: Any, __: Any, output: Any) -> Any:
        if output.dtype == torch.float16:
            output[1] = torch.nan
        return output

    broken.vae.decoder.register_forward_hook(spoil)
    _, images = _ask(broken)
    assert [image.vae_dtype for image in images] == ["float16", "float32"]
    assert (images[0].array == whole[0].array).all()
    assert np.isfinite(images[1].array).all()


def test_latents_that_are_nan_are_not_decoded_again() -> None:
    pipeline = _stable_diffusion().to(torch.float16)
    pipeline.unet.conv_out.bias.data.fill_(torch.nan)
    # Some decoders make a picture of anything.
    pipeline.vae.decoder.register_forward_hook(
        lambda _, __, output: torch.rand_like(output) if output.dtype == torch.float32 else output
    )
    caller, images = _ask(pipeline)
    assert [image.vae_dtype for image in images] == ["float16"] * 2
    assert not caller.decoded_again
    assert all(np.isnan(image.array).any() for image in images)


def test_an_image_is_unchanged_when_the_decoder_refuses_float32() -> None:
    pipeline = _overflowing()

    def refuse(_: Any, arguments: tuple[Any, ...]) -> None:
        if arguments[0].dtype == torch.float32:
            raise ValueError("16 bits only")

    pipeline.vae.decoder.register_forward_pre_hook(refuse)
    _, images = _ask(pipeline)
    assert [image.vae_dtype for image in images] == ["float16"] * 2
    assert pipeline.vae.dtype == torch.float16


def test_decoding_is_a_phase_of_its_own_and_the_recording_is_removed() -> None:
    pipeline = _stable_diffusion()
    clock = Clock()
    with clock("sample"):
        _ask(pipeline, clock)
    assert set(clock.seconds) == {"sample", "decode"}
    assert all(seconds > 0 for seconds in clock.seconds.values())
    assert "decode" not in vars(pipeline.vae)


def test_pipelines_without_a_decoder_have_no_vae_dtype() -> None:
    from demo.zoo.unconditional import ddim

    clock = Clock()
    _, images = _ask(ddim(), clock, task="unconditional")
    assert [image.vae_dtype for image in images] == [None, None]
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
