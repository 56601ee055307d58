"""What is said of a device before anything is measured, compared with what others have published."""

import pytest

from crawler.catalog import Hyperparameters
from samplers.forecasting.device_speed import DEVICES, UNCERTAIN, speed_of
from samplers.planning.cost import cost_of
from tests.samplers.campaign import entry, file
from workspace.errors import UsageError

#: Iterations a second of 16 images of Stable Diffusion 1.5 in fp16, without compilation (documentation of diffusers,
#: optimization/torch2.0).
PUBLISHED = {"a100": 3.6, "v100": 1.66, "rtx3090": 1.69, "rtx4090": 3.2, "t4": 1 / 2.3}


@pytest.mark.parametrize("device", PUBLISHED)
def test_published_times_of_stable_diffusion_are_within_the_range(device: str) -> None:
    estimate = cost_of(entry(), batch_size=16).image / speed_of(device)[0]
    published = 25 / (16 * PUBLISHED[device])
    assert estimate / UNCERTAIN < published < estimate * UNCERTAIN
    assert estimate == pytest.approx(published, rel=0.4)


def test_the_published_time_of_stable_diffusion_xl_is_within_the_range() -> None:
    """3.31 s for 30 steps on an A100 (documentation of diffusers, tutorials/fast_diffusion)."""
    xl = entry(
        hyperparameters=Hyperparameters(num_inference_steps=30, guidance_scale=5.0, height=1024, width=1024),
        files=(file("unet/diffusion_pytorch_model.fp16.safetensors", 5_140_000_000),),
    )
    estimate = cost_of(xl, batch_size=1).image / speed_of("A100")[0]
    assert estimate / UNCERTAIN < 3.31 < estimate


def test_newer_devices_are_faster_and_names_are_taken_as_people_write_them() -> None:
    order = ["cpu", "t4", "l4", "v100", "l40s", "a100", "h100", "h200"]
    speeds = [speed_of(name)[0] for name in order]
    assert speeds == sorted(speeds)
    assert speed_of("RTX 4090") == speed_of("rtx-4090") == speed_of("rtx4090")
    assert speed_of("2.5")[0] == 2.5


@pytest.mark.parametrize("text", ["", "mine", "0", "-1", "nan", "inf", "1e999"])
def test_what_is_no_device_is_refused_with_the_names(text: str) -> None:
    with pytest.raises(UsageError, match=r"--device-speed .*: name one of h200, h100") as refused:
        speed_of(text)
    assert all(name in str(refused.value) for name in DEVICES)
