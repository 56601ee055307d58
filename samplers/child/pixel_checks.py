"""What is no image: values that are not numbers, and pictures of one colour.

Weights that overflow give NaN, which turns black as soon as it becomes bytes: so it is looked for in the pipeline's
floating-point output, before.
"""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from samplers.child.failures import GeneratorError

Pixels = npt.NDArray[np.uint8]


def judge(picture: npt.NDArray[Any]) -> Literal["nan", "blank"] | Pixels:
    """The pixels of an image, (height, width, 3) or (height, width); or why there are none.

    `picture` is height x width x channels (1 or 3): floating point in [0, 1], or bytes. Raises `GeneratorError` for
    other shapes.
    """
    if picture.ndim == 3 and picture.shape[2] == 1:
        picture = picture[:, :, 0]
    if picture.size == 0 or not (picture.ndim == 2 or (picture.ndim == 3 and picture.shape[2] == 3)):
        raise GeneratorError("sample-failed", f"its images have shape {picture.shape}: not one or three channels")
    if picture.dtype != np.uint8:
        if not np.isfinite(picture).all():
            return "nan"
        # As diffusers' numpy_to_pil does; what lies outside [0, 1] must not wrap around.
        picture = (picture.clip(0.0, 1.0) * 255).round().astype(np.uint8)
    return "blank" if (picture == picture[0, 0]).all() else picture
