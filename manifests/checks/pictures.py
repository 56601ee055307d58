"""What must hold of an image file beside its sha256: that it is the image its row describes, and nothing else."""

import numpy as np

from manifests.checks.failures import Problem
from manifests.checks.remedies import RESTORE_DATA_SET, SAMPLE_AGAIN
from manifests.images import picture
from samplers.image_checks import is_blank
from samplers.png_structure import PngFault, png_fault

_DAMAGED = Problem("image [file is a damaged PNG|files are damaged PNGs]", SAMPLE_AGAIN)
_FAULTS: dict[PngFault, Problem] = {
    "not-png": Problem("image [file is|files are] not PNG", SAMPLE_AGAIN),
    "metadata": Problem("image [file contains|files contain] metadata", SAMPLE_AGAIN),
    "trailing-data": Problem("image [file contains|files contain] data after the end of the picture", SAMPLE_AGAIN),
    "damaged": _DAMAGED,
    "other-size": Problem(
        "[image has|images have] another mode or size than [its row says|their rows say]", SAMPLE_AGAIN
    ),
}
_BLANK = Problem("[image is|images are] blank", SAMPLE_AGAIN)
_OTHER_FILE = Problem(
    "imported [image|images] can no longer be opened, or [has|have] another format or size than [its|their] row says",
    "run `cf-import` again with the same options, which takes what is damaged from its source",
)
_NOT_READABLE = Problem("real [image|images] can no longer be opened", RESTORE_DATA_SET)
_OTHER_FORMAT = Problem(
    "real [image has|images have] another format or size than [its prompt says|their prompts say]", RESTORE_DATA_SET
)


def png_problem(content: bytes, mode: str, width: int, height: int) -> Problem | None:
    """What is wrong with a generated image; None: it is a PNG of that mode and size (pixels), and nothing else."""
    fault = png_fault(content, mode, width, height)
    if fault is not None:
        return _FAULTS[fault]
    # Not before the size is known to be the row's: a header can ask for any amount of memory.
    pixels = _decoded(content)
    if pixels is None or pixels.shape[:2] != (height, width):
        return _DAMAGED
    return _BLANK if is_blank(pixels) else None


def foreign_image_problem(content: bytes, image_format: str, width: int, height: int) -> Problem | None:
    """What is wrong with an imported or delivered image, by its header alone: a file of this sha256 was decoded, behind
    the walls, when it was stored. A JPEG with several pictures is one of its first."""
    try:
        with picture(content) as image:
            facts = ("JPEG" if image.format == "MPO" else image.format, *image.size)
    except OSError:
        return _OTHER_FILE
    return None if facts == (image_format, width, height) else _OTHER_FILE


def real_image_problem(content: bytes, image_format: str, width: int, height: int) -> Problem | None:
    """What is wrong with a real image, by its header alone: a file of this sha256 was decoded when it was captioned."""
    try:
        with picture(content) as image:
            facts = (image.format, *image.size)
    except OSError:
        return _NOT_READABLE
    return None if facts == (image_format, width, height) else _OTHER_FORMAT


def _decoded(content: bytes) -> "np.typing.NDArray[np.uint8] | None":
    import cv2

    try:
        return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
