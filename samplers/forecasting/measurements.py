"""What an estimate of time and disk rests on: `--device-speed`, finished generators, a calibration, or nothing."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from samplers.assignment.pending import PendingWork
from samplers.forecasting.calibration import measured_of, read_calibration
from samplers.forecasting.device_speed import UNCERTAIN, speed_of
from samplers.forecasting.disk_use import PixelBytes
from samplers.forecasting.pace import Measured, Pace, pace_of
from samplers.outcomes import Outcome
from samplers.planning.cost import pixels_of
from samplers.storage.progress import progress_of
from workspace.layout import Workspace
from workspace.number_text import counted

#: Finished generators whose PNG files are counted: more change the estimate little.
_LOOKED_AT = 20


@dataclass(frozen=True)
class Measurements:
    """What is known of the device and of the images."""

    pace: Pace
    device: str
    """Whose pace it is."""
    pixel_bytes: PixelBytes | None
    """None: no image is there yet."""
    rests_on: tuple[str, ...]
    """In words."""


def measurements_of(
    workspace: Workspace, pending: PendingWork, outcomes: Mapping[str, Outcome | None], device_speed: str | None
) -> Measurements:
    """What is known; `outcomes` of every generator of all shards, by name. Raises `UsageError` as `speed_of`."""
    ended = {name: one for name, one in outcomes.items() if one is not None and one.timed and not one.failed}
    calibration = read_calibration(workspace)
    calibrated = {} if calibration is None else {one.generator: one for one in calibration.generators}
    times: dict[str, Measured] = {name: one.measured for name, one in calibrated.items()}
    for name, outcome in ended.items():
        cost = pending.costs[name]
        times[name] = measured_of(outcome.seconds, cost.load, cost.image * outcome.timed)
    sizes = {name: (float(one.image_bytes), float(one.pixels)) for name, one in calibrated.items() if one.pixels}
    sizes |= _sizes_of_finished(workspace, pending, list(ended)[:_LOOKED_AT])
    pixel_bytes = PixelBytes.of(list(sizes.values()))
    disk = (
        f"disk: the PNG files of {counted(pixel_bytes.measured, 'generator')}"
        if pixel_bytes is not None
        else "disk: 1.5 bytes a pixel, at least 0.5, at most 3; no image is there yet"
    )
    if device_speed is not None:
        speed, origin = speed_of(device_speed)
        return Measurements(Pace(sample=1 / speed), device_speed, pixel_bytes, (f"time: {origin}", _UNMEASURED, disk))
    if not times:
        nominal = "time: on the nominal GPU, which makes an image of Stable Diffusion 1.5 in 1 s"
        return Measurements(Pace(), "nominal", pixel_bytes, (nominal, _UNMEASURED, disk))
    pace, origins, device = pace_of(list(times.values())), [], "of this workspace"
    if ended:
        origins.append(f"{counted(len(ended), 'finished generator')} of this workspace")
    if calibration is not None and (left := calibrated.keys() - ended.keys()):
        device = calibration.device
        origins.append(
            f"a batch of {counted(len(left), 'generator')} on {device} (--calibrate, {calibration.measured_at})"
        )
    spread = math.exp(pace.spread or 0.0)
    rests_on = (
        f"time: measured: {' and '.join(origins)}",
        f"range: 10 % to 90 %, log-normal; single generators differ by a factor of {spread:.2g}",
        disk,
    )
    return Measurements(pace, device, pixel_bytes, rests_on)


_UNMEASURED = f"range: a factor of {UNCERTAIN:g}, because nothing is measured; --calibrate measures three generators"


def _sizes_of_finished(workspace: Workspace, pending: PendingWork, names: list[str]) -> dict[str, tuple[float, float]]:
    """Bytes and pixels of the images of finished generators, by name."""
    found = {}
    for name in names:
        sizes = [row.file_size for row in progress_of(workspace, name).rows if row.file_size is not None]
        if sizes:
            settings = pending.segments[name][-1].settings
            pixels = len(sizes) * pixels_of(replace(pending.entries[name], hyperparameters=settings))
            found[name] = (float(sum(sizes)), float(pixels))
    return found
