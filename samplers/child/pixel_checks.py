"""Checks of an image's pixels: values that are not finite, and images of one colour.

Weights that overflow give NaN, which becomes black when it is converted to bytes: so it is looked for before that, in
the pipeline's floating-point output.
"""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from samplers.child.failures import GeneratorError
from samplers.image_checks import is_blank

Pixels = npt.NDArray[np.uint8]


def check_pixels(image: npt.NDArray[Any]) -> Literal["nan", "blank"] | Pixels:
    """The pixels of an image, (height, width, 3) or (height, width); or the reason to reject it.

    `image` is height x width x channels (1 or 3): floating point in [0, 1], or bytes. Raises `GeneratorError` for other
    shapes.
    """
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    if image.size == 0 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
        detail = f"the pipeline returns images of shape {image.shape}, not of one or three channels"
        raise GeneratorError("sample-failed", detail)
    if image.dtype != np.uint8:
        if not np.isfinite(image).all():
            return "nan"
        # As diffusers' numpy_to_pil does; values outside [0, 1] must not wrap around.
        image = (image.clip(0.0, 1.0) * 255).round().astype(np.uint8)
    return "blank" if is_blank(image) else image
