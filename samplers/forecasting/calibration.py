"""The record of `--calibrate`: what a batch of a few generators took on this device, in `logs/calibration.json`.

It changes no image, so it is not in the recipe. The next dry run of any shard rests on it; the last calibration counts.
"""

import dataclasses
import json
from dataclasses import dataclass, field

from samplers.forecasting.pace import Measured
from samplers.outcomes import BUSY
from workspace.atomic import write_json
from workspace.errors import UsageError, in_one_line
from workspace.layout import Workspace

_NAME = "calibration.json"


@dataclass(frozen=True, kw_only=True)
class Calibrated:
    """One batch of one generator."""

    generator: str
    revision: str
    images: int
    """Sampled, rejected ones included."""
    seconds: dict[str, float]
    """By phase (`outcomes.PHASES`)."""
    nominal_load: float
    nominal_sample: float
    """Seconds of the nominal device for the same work (`cost`)."""
    pixels: int
    """Of the images that were kept."""
    image_bytes: int
    """Of their PNG files."""

    @property
    def measured(self) -> Measured:
        """For the pace."""
        return measured_of(self.seconds, self.nominal_load, self.nominal_sample)


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What was measured on one device."""

    device: str
    """cpu, or the GPU's name."""
    measured_at: str
    """UTC, ISO 8601."""
    generators: tuple[Calibrated, ...]
    failed: dict[str, str] = field(default_factory=dict)
    """Generators that gave no batch, and why."""


def measured_of(seconds: dict[str, float], nominal_load: float, nominal_sample: float) -> Measured:
    """The measured phases that the estimate covers; the others run at the same time."""
    sample = sum(seconds.get(phase, 0.0) for phase in BUSY)
    return Measured(
        load=seconds.get("load", 0.0), sample=sample, nominal_load=nominal_load, nominal_sample=nominal_sample
    )


def write_calibration(workspace: Workspace, calibration: Calibration) -> None:
    """Write it; it replaces the previous one."""
    workspace.logs.mkdir(parents=True, exist_ok=True)
    write_json(workspace.logs / _NAME, dataclasses.asdict(calibration))


def read_calibration(workspace: Workspace) -> Calibration | None:
    """The last one; None before the first. Raises `UsageError` for a file that is none."""
    path = workspace.logs / _NAME
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        generators = tuple(Calibrated(**one) for one in values.pop("generators"))
        calibration = Calibration(**values, generators=generators)
        if not generators or not all(one.measured.nominal_sample > 0 < one.measured.sample for one in generators):
            raise ValueError("nothing was measured")
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(
            f"{path} is damaged or of another version: {in_one_line(error)}; remove it, and measure again with "
            "`cf-sample --calibrate`"
        ) from error
    return calibration
