"""How an image file is compressed, and what it carries beside its pixels: facts that differ between real and generated
images, and that a detector could learn instead of the pixels.

The quality of a JPEG is not stored in the file: it is estimated from the table by which its luminance was quantised.
libjpeg (the Independent JPEG Group, IJG) makes its tables from one base table and a quality Q of 1 to 100:

    scale = 5000 / Q if Q < 50 else 200 - 2 * Q
    entry = (base * scale + 50) / 100, rounded down, at least 1 and at most 255

(`jpeg_quality_scaling` and `jpeg_add_quant_table` in libjpeg's jcparam.c; the base is the example in Table K.1 of ITU-T
T.81.) The estimate is the Q whose table is nearest, by the sum of the absolute differences of the 64 entries; of
several, the greatest. It is exact for files of libjpeg, Pillow and all others with tables of the IJG. Cameras,
Photoshop and MozJPEG have tables of their own: then the estimate is the Q whose compression is most alike, not a number
that anybody chose, and programs that measure alikeness in another way (ImageMagick compares sums of the entries of
luminance and chrominance) differ by some units.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL import Image

#: Table K.1 of ITU-T T.81: quantisation of the luminance, row by row.
_LUMINANCE = (
    *(16, 11, 10, 16, 24, 40, 51, 61),
    *(12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56),
    *(14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77),
    *(24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101),
    *(72, 92, 95, 98, 112, 100, 103, 99),
)
#: Greatest entry of a table with 8 bits an entry, and of one with 16 bits, as libjpeg writes it for very low qualities.
_BASELINE, _EXTENDED = 255, 32767

#: Factors by which the chrominance is reduced, horizontally and vertically, and what that is called.
_SUBSAMPLING = {(1, 1): "4:4:4", (2, 1): "4:2:2", (2, 2): "4:2:0", (4, 1): "4:1:1", (1, 2): "4:4:0"}


@dataclass(frozen=True)
class Compression:
    """How an image file is compressed, and what it carries.

    `jpeg_quality` (1 to 100, estimated), `chroma_subsampling` and `progressive` are None for a file that is no JPEG,
    and the quality also for a JPEG without quantisation (lossless). `has_exif` and `has_icc`: whether the file has EXIF
    data and a colour profile, of any size.
    """

    jpeg_quality: int | None
    chroma_subsampling: str | None
    progressive: bool | None
    has_exif: bool
    has_icc: bool


def compression_of(image: "Image.Image") -> Compression:
    """The compression of an image that Pillow has opened and loaded: some formats have metadata behind the pixels."""
    has_exif = any(image.info.get(name) for name in ("exif", "Raw profile type exif")) or _has_exif_tags(image)
    has_icc = bool(image.info.get("icc_profile"))
    if image.format not in ("JPEG", "MPO"):
        return Compression(None, None, None, has_exif, has_icc)
    # Pillow: a component's id, its factors, and the number of its table.
    components: list[tuple[int, int, int, int]] = getattr(image, "layer", [])
    tables: dict[int, Sequence[int]] = getattr(image, "quantization", {})
    luminance = tables.get(components[0][3]) if components else None
    return Compression(
        estimated_quality(luminance) if luminance is not None else None,
        subsampling_name([(horizontal, vertical) for _, horizontal, vertical, _ in components]),
        bool(image.info.get("progressive")),
        has_exif,
        has_icc,
    )


def estimated_quality(table: Sequence[int]) -> int:
    """The quality, 1 to 100, whose luminance table of the IJG is nearest to the 64 entries of `table`, row by row."""
    import numpy as np

    entries = np.asarray(table, dtype=np.int64)
    distances = np.abs(_tables(_BASELINE if entries.max() <= _BASELINE else _EXTENDED) - entries).sum(axis=1)
    return int(np.flatnonzero(distances == distances.min())[-1]) + 1


def subsampling_name(factors: Sequence[tuple[int, int]]) -> str | None:
    """What the sampling factors of a JPEG's components, horizontal and vertical, are called: 4:4:4, 4:2:2, 4:2:0,
    4:1:1, 4:4:0; 4:0:0 for one component; otherwise the factors themselves, such as 2x2,1x2,1x1. None where there are
    none."""
    if not all(min(pair) > 0 for pair in factors) or not factors:
        return None
    if len(factors) == 1:
        return "4:0:0"
    (width, height), (reduced_width, reduced_height), *others = factors
    if others == [(reduced_width, reduced_height)] and width % reduced_width == 0 == height % reduced_height:
        name = _SUBSAMPLING.get((width // reduced_width, height // reduced_height))
        if name is not None:
            return name
    return ",".join(f"{horizontal}x{vertical}" for horizontal, vertical in factors)


@cache
def _tables(greatest: int) -> "npt.NDArray[np.int64]":
    """The IJG's luminance tables of the qualities 1 to 100, of shape (100, 64)."""
    import numpy as np

    qualities = np.arange(1, 101)
    scales = np.where(qualities < 50, 5000 // qualities, 200 - 2 * qualities)
    tables: npt.NDArray[np.int64] = np.clip((np.outer(scales, _LUMINANCE) + 50) // 100, 1, greatest)
    return tables


def _has_exif_tags(image: "Image.Image") -> bool:
    """Whether a TIFF file, whose own tags are of EXIF's form, has those of a camera."""
    from PIL import ExifTags

    tags: Any = getattr(image, "tag_v2", {})
    return image.format == "TIFF" and ExifTags.IFD.Exif in tags
