"""Odd and broken image files, each with its expected result."""

import io
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from captioning.skipped import SkipReason


@dataclass(frozen=True)
class Oddity:
    """A file; it must be captioned with these facts, or skipped for this reason."""

    content: bytes
    facts: tuple[str, int, int] | None = None
    reason: SkipReason | None = None


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def picture(width: int = 40, height: int = 24, mode: str = "RGB") -> Image.Image:
    """Noise with a fixed seed: nothing compresses it away."""
    noise = np.random.default_rng(width * height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(noise).convert(mode)


def rotated_by_exif(image: Image.Image, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(image, "JPEG", exif=exif)


def png_of_size(width: int, height: int) -> bytes:
    """A PNG that says it is this large, with a few bytes of pixels: a decompression bomb."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\x00" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def text_bomb() -> bytes:
    """A PNG with a compressed comment of 5 MB; Pillow reads 1 MB."""
    from PIL.PngImagePlugin import PngInfo

    comment = PngInfo()
    comment.add_text("Comment", "a" * 5_000_000, zip=True)
    return encoded(picture(), "PNG", pnginfo=comment)


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]


def all_oddities() -> dict[str, Oddity]:
    """File name -> oddity."""
    jpeg, png = encoded(picture(), "JPEG"), encoded(picture(), "PNG")
    sixteen = Image.fromarray(np.linspace(0, 65535, 40 * 24).reshape(24, 40).astype(np.uint16))
    frames = [picture(40, 24), Image.new("RGB", (40, 24), "red")]
    transparent_palette = picture(mode="RGB").quantize(16)
    transparent_palette.info["transparency"] = 3

    def whole(content: bytes, format: str, width: int = 40, height: int = 24) -> Oddity:
        return Oddity(content, facts=(format, width, height))

    def bad(content: bytes, reason: SkipReason) -> Oddity:
        return Oddity(content, reason=reason)

    return {
        "plain.jpg": whole(jpeg, "JPEG"),
        "plain.png": whole(png, "PNG"),
        "UPPER.JPEG": whole(jpeg, "JPEG"),
        "progressive.jpg": whole(encoded(picture(), "JPEG", progressive=True), "JPEG"),
        "grey.jpg": whole(encoded(picture(mode="L"), "JPEG"), "JPEG"),
        "cmyk.jpg": whole(encoded(picture(mode="CMYK"), "JPEG"), "JPEG"),
        "cmyk.tif": whole(encoded(picture(mode="CMYK"), "TIFF"), "TIFF"),
        "ycbcr.tif": whole(encoded(picture(mode="YCbCr"), "TIFF"), "TIFF"),
        "sixteen-bit.png": whole(encoded(sixteen, "PNG"), "PNG"),
        "sixteen-bit.tiff": whole(encoded(sixteen, "TIFF"), "TIFF"),
        "thirty-two-bit.tif": whole(encoded(picture(mode="I"), "TIFF"), "TIFF"),
        "float.tif": whole(encoded(picture(mode="F"), "TIFF"), "TIFF"),
        "one-bit.png": whole(encoded(picture(mode="1"), "PNG"), "PNG"),
        "palette.png": whole(encoded(picture().quantize(16), "PNG"), "PNG"),
        "palette-alpha.png": whole(encoded(transparent_palette, "PNG"), "PNG"),
        "alpha.png": whole(encoded(picture(mode="RGBA"), "PNG"), "PNG"),
        "grey-alpha.png": whole(encoded(picture(mode="LA"), "PNG"), "PNG"),
        "alpha.webp": whole(encoded(picture(mode="RGBA"), "WEBP"), "WEBP"),
        "animated.gif": whole(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]), "GIF"),
        "animated.png": whole(encoded(frames[0], "PNG", save_all=True, append_images=frames[1:]), "PNG"),
        "animated.webp": whole(encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:]), "WEBP"),
        "pages.tif": whole(encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:]), "TIFF"),
        "camera.mpo": whole(encoded(frames[0], "MPO", save_all=True, append_images=frames[1:]), "MPO"),
        "rotated.jpg": whole(rotated_by_exif(picture(), 6), "JPEG"),
        "impossible-orientation.jpg": whole(rotated_by_exif(picture(), 77), "JPEG"),
        "bad-exif.jpg": whole(encoded(picture(), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff"), "JPEG"),
        "bitmap.bmp": whole(encoded(picture(), "BMP"), "BMP"),
        "portable.ppm": whole(encoded(picture(), "PPM"), "PPM"),
        "jpeg2000.jp2": whole(encoded(picture(), "JPEG2000"), "JPEG2000"),
        "avif.avif": whole(encoded(picture(), "AVIF"), "AVIF"),
        "one-pixel.png": whole(encoded(picture(1, 1), "PNG"), "PNG", 1, 1),
        "three-pixels.png": whole(encoded(picture(3, 3), "PNG"), "PNG", 3, 3),
        "line.png": whole(encoded(picture(2000, 1), "PNG"), "PNG", 2000, 1),
        "column.png": whole(encoded(picture(1, 2000), "PNG"), "PNG", 1, 2000),
        "really-a-png.jpg": whole(png, "PNG"),
        "trailing-garbage.jpg": whole(jpeg + b"\x00" * 999, "JPEG"),
        "name with spaces.png": whole(png, "PNG"),
        "quote'\"and\\backslash.png": whole(png, "PNG"),
        "line\nfeed.png": whole(png, "PNG"),
        "Grüße-日本-🦀.png": whole(png, "PNG"),
        "-dash.png": whole(png, "PNG"),
        "percent%2Fslash.png": whole(png, "PNG"),
        "a=b.png": whole(png, "PNG"),
        "empty.jpg": bad(b"", "empty"),
        "text.jpg": bad(b"this is not an image\n" * 10, "not-an-image"),
        "html.jpg": bad(b"<!DOCTYPE html><html><body>404 Not Found</body></html>", "not-an-image"),
        "one-byte.png": bad(b"\x89", "not-an-image"),
        "zeros.png": bad(bytes(4096), "not-an-image"),
        "vector.jpg": bad(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "not-an-image"),
        "camera-raw.nef": bad(b"Nikon, in truth" * 20, "not-an-image"),
        "signature-only.png": bad(png[:8], "not-an-image"),
        "truncated.jpg": bad(jpeg[: len(jpeg) * 2 // 3], "broken"),
        "truncated.png": bad(png[: len(png) * 2 // 3], "broken"),
        "truncated.gif": bad(encoded(picture(), "GIF")[:1000], "broken"),
        "truncated.webp": bad(encoded(picture(), "WEBP", lossless=True)[:400], "broken"),
        "truncated.tif": bad(encoded(picture(), "TIFF")[:1500], "broken"),
        "flipped-bit.png": bad(flipped(png, len(png) // 2), "broken"),
        "bomb.png": bad(png_of_size(50_000, 50_000), "too-large"),
        "large-bomb.png": bad(png_of_size(2**31 - 1, 2**31 - 1), "too-large"),
        "text-bomb.png": bad(text_bomb(), "metadata"),
    }


def write(folder: Path, oddities: dict[str, Oddity]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, oddity in oddities.items():
        (folder / name).write_bytes(oddity.content)
