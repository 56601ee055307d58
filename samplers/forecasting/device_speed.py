"""How fast a device is, compared with the nominal one of the cost estimate (`cost`), before anything was measured.

Sources: peak of dense matrix operations in bf16 or fp16 and memory bandwidth, from the maker's data sheets (A100, V100,
H100, H200, L4, L40S, T4) and white papers (GeForce: Ampere GA102 and Ada, fp16 with fp16 accumulation). `cpu` is a
server processor of 40 cores, Xeon Platinum 8380: fp32 with AVX-512 at its base clock of 2.3 GHz, and eight channels of
DDR4-3200.

A device is compared with the A100 by a weighted sum of the two ratios: part of an image's time is bound by arithmetic,
the rest by memory. Weight and reference are fitted to what the documentation of diffusers publishes for Stable
Diffusion 1.5 in fp16 without compilation, in batches of 16 (optimization/torch2.0: 3.6 iterations a second on A100,
1.66 on V100, 3.2 on RTX 4090, 1.69 on RTX 3090, 0.43 on T4). They are met within 15 %; the T4 is 1.6 times slower. The
same GPU may be off by two for another generator: 30 steps of Stable Diffusion XL are estimated at twice what is
published for the A100 (3.31 s, tutorials/fast_diffusion). So `UNCERTAIN` is 3.
"""

import math
from dataclasses import dataclass

from workspace.errors import UsageError

#: What is estimated before anything is measured is taken to be right within this factor, up or down.
UNCERTAIN = 3.0

#: Speed of the A100 in nominal devices: 25 steps of Stable Diffusion 1.5 take 25 / (3.6 * 16) s there and 1.0 s here.
_REFERENCE, _REFERENCE_SPEED = "a100", 2.3
#: Part of an image's time on the reference that is bound by arithmetic; the rest is bound by memory.
_ARITHMETIC = 0.7


@dataclass(frozen=True)
class Device:
    """Published figures of a device."""

    title: str
    teraflops: float
    """Peak of dense matrix operations in bf16 or fp16, 10**12 a second."""
    bandwidth: float
    """Of its memory, TB (10**12 bytes) a second."""


#: By the name for `--device-speed`.
DEVICES = {
    "h200": Device("H200 SXM", 989, 4.8),
    "h100": Device("H100 SXM", 989, 3.35),
    "a100": Device("A100 SXM 80 GB", 312, 2.039),
    "v100": Device("V100 SXM2", 125, 0.9),
    "l40s": Device("L40S", 362, 0.864),
    "l4": Device("L4", 121, 0.3),
    "t4": Device("T4", 65, 0.32),
    "rtx4090": Device("GeForce RTX 4090", 330, 1.008),
    "rtx3090": Device("GeForce RTX 3090", 142, 0.936),
    "cpu": Device("a server processor of 40 cores", 5.9, 0.205),
}


def speed_of(text: str) -> tuple[float, str]:
    """The speed that `--device-speed` names, in nominal devices, and where it is from.

    `text` is a name of `DEVICES`, or a number. Raises `UsageError` for anything else.
    """
    name = text.strip().lower().replace(" ", "").replace("-", "")
    device, reference = DEVICES.get(name), DEVICES[_REFERENCE]
    if device is not None:
        arithmetic = _ARITHMETIC * reference.teraflops / device.teraflops
        memory = (1 - _ARITHMETIC) * reference.bandwidth / device.bandwidth
        speed = _REFERENCE_SPEED / (arithmetic + memory)
        figures = f"published {device.teraflops:g} TFLOPS and {device.bandwidth:g} TB/s"
        return speed, f"{device.title}: {speed:.2g} times the nominal GPU, by {figures}"
    try:
        speed = float(text)
    except ValueError:
        speed = math.nan
    if not 0 < speed < math.inf:
        raise UsageError(
            f"--device-speed {text}: name one of {', '.join(DEVICES)}, or a number: 2 for a device that is twice as "
            "fast as one that makes an image of Stable Diffusion 1.5 in a second"
        )
    return speed, f"a device {speed:g} times as fast as the nominal GPU"
