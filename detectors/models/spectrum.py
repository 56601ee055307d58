"""The spectrum of an image as a feature: a backbone without weights.

Generators that enlarge what they make leave periodic traces, which are peaks in the spectrum, and too little or too
much of the finest details (Durall et al. 2020, arXiv 2003.01826; Frank et al. 2020, arXiv 2003.08685, who show that a
linear classifier on such a spectrum finds GANs). It needs nothing but the image, so it is what a probe can be trained
on where no weights can be had, and what a learned backbone should beat.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]

#: Side of a block in pixels: frequencies are known to 1/32 cycle a pixel, which tells periods of 2, 4, 8 and 16 apart.
_BLOCK = 32
#: Blocks that are averaged, at most, in each direction: an image of 272 pixels or more gives as many.
_BLOCKS = 16
#: Power of the noise of rounding to whole grey levels, 1/12 of a grey level squared: what is below it is nothing.
_ROUNDING = 1 / 12

#: Numbers of a feature: brightness and two differences of colour, at the frequencies of a real transform.
WIDTH = 3 * _BLOCK * (_BLOCK // 2 + 1)


def spectra(images: Sequence[Pixels]) -> npt.NDArray[np.float32]:
    """The logarithm of the power at each frequency, its mean over blocks of the image at native size: float32 of shape
    (images, WIDTH)."""
    return np.stack([_spectrum(image) for image in images]) if images else np.empty((0, WIDTH), np.float32)


def _spectrum(image: Pixels) -> npt.NDArray[np.float32]:
    """Blocks overlap by half, evenly spread where there would be too many; an image that is smaller is mirrored."""
    missing = [max(0, _BLOCK - length) for length in image.shape[:2]]
    if any(missing):
        image = np.pad(image, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="symmetric")
    window = np.hanning(_BLOCK + 2)[1:-1].astype(np.float32)
    powers = []
    blocks = _blocks(image).astype(np.float32)
    red, green, blue = (blocks[..., channel] for channel in range(3))
    # Brightness as JPEG has it (ITU-R BT.601).
    for plane in (0.299 * red + 0.587 * green + 0.114 * blue, red - green, blue - green):
        plane = (plane - plane.mean(axis=(1, 2), keepdims=True)) * window * window[:, None]
        powers.append(np.abs(np.fft.rfft2(plane)) ** 2 / (window**2).sum() ** 2)
    return np.asarray(np.log(np.stack(powers, axis=1) + _ROUNDING).mean(axis=0).ravel(), dtype=np.float32)


def _blocks(image: Pixels) -> Pixels:
    """Blocks of an image: (blocks, 32, 32, 3)."""
    starts = []
    for length in image.shape[:2]:
        number = min(_BLOCKS, 1 + 2 * (length - _BLOCK) // _BLOCK)
        starts.append(np.linspace(0, length - _BLOCK, number).round().astype(int))
    every = np.lib.stride_tricks.sliding_window_view(image, (_BLOCK, _BLOCK), axis=(0, 1))
    return np.asarray(np.moveaxis(every[np.ix_(*starts)], 2, -1).reshape(-1, _BLOCK, _BLOCK, 3), dtype=np.uint8)
