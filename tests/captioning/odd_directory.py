"""A directory of everything that real folders of images hold, each with its expected result, written by hand."""

import io
import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageCms, PngImagePlugin

from captioning.skipped import SkipReason
from tests.captioning.oddities import Oddity, all_oddities, encoded, flipped, picture, png_of_size, rotated_by_exif


def odd_files() -> dict[str, Oddity]:
    """File name -> oddity: `all_oddities` and many more."""
    return all_oddities() | _unusual() | _damaged() | _no_images() | _names()


def write_odd_directory(root: Path) -> dict[str, Oddity]:
    """Write all of them, and what only a file system can hold; returns what must become of each, by its id, names that
    are not UTF-8 as the skipped table prints them."""
    expected = odd_files()
    root.mkdir(parents=True)
    for name, oddity in expected.items():
        (root / name).write_bytes(oddity.content)
    plain = encoded(picture(), "JPEG")
    (root / "dangling.jpg").symlink_to("gone.jpg")
    (root / "loop-a.jpg").symlink_to("loop-b.jpg")
    (root / "loop-b.jpg").symlink_to("loop-a.jpg")
    (root / "linked.jpg").symlink_to("plain.jpg")
    (root / "through-a-file.jpg").symlink_to("plain.jpg/x.jpg")
    os.mkfifo(root / "pipe.jpg")
    (root / "device.jpg").symlink_to("/dev/zero")
    (root / "folder.jpg").mkdir()
    (root / "folder.jpg/inside.jpg").write_bytes(plain)
    (root / "a/b/c/d/e/f/g/h").mkdir(parents=True)
    (root / "a/b/c/d/e/f/g/h/deep.jpg").write_bytes(plain)
    (root / "a/circle").symlink_to(root)
    Path(os.fsdecode(bytes(root) + b"/caf\xe9.jpg")).write_bytes(plain)
    Path(os.fsdecode(bytes(root) + b"/\xff\xfe.jpg")).write_bytes(plain)
    for beside in (".hidden.jpg", "._plain.jpg", ".DS_Store", "Thumbs.db", "notes.md", "archive.zip", "list.csv"):
        (root / beside).write_bytes(plain)
    for folder in ("__MACOSX", ".git", "@eaDir"):
        (root / folder).mkdir()
        (root / folder / "plain.jpg").write_bytes(plain)
    for name in ("dangling.jpg", "loop-a.jpg", "loop-b.jpg", "through-a-file.jpg"):
        expected[name] = Oddity(b"", reason="missing")
    for name in ("pipe.jpg", "device.jpg"):
        expected[name] = Oddity(b"", reason="not-a-file")
    for name in (r"caf\xe9.jpg", r"\xff\xfe.jpg"):
        expected[name] = Oddity(plain, reason="name")
    for name in ("linked.jpg", "folder.jpg/inside.jpg", "a/b/c/d/e/f/g/h/deep.jpg"):
        expected[name] = _whole(plain, "JPEG")
    return expected


def _whole(content: bytes, format: str, width: int = 40, height: int = 24) -> Oddity:
    return Oddity(content, facts=(format, width, height))


def _bad(content: bytes, reason: SkipReason) -> Oddity:
    return Oddity(content, reason=reason)


def _unusual() -> dict[str, Oddity]:
    """Odd files that can be decoded: they must be captioned, and measured as stored."""
    jpeg = encoded(picture(), "JPEG")
    deep = np.random.default_rng(1).integers(0, 65536, (24, 40, 3), dtype=np.uint16)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    comment = PngImagePlugin.PngInfo()
    comment.add_text("Comment", "line\nfeed and ü \x00 nul")
    exif = Image.Exif()
    exif[0x010E] = "a description " * 4000  # of 56 kB, nearly all that a segment can hold
    rotated = {
        f"orientation-{orientation}.jpg": _whole(rotated_by_exif(picture(), orientation), "JPEG")
        for orientation in range(10)
    }
    return rotated | {
        "sixteen-bit-rgb.png": _whole(cv2.imencode(".png", deep)[1].tobytes(), "PNG"),
        "sixteen-bit-rgb.tif": _whole(cv2.imencode(".tif", deep)[1].tobytes(), "TIFF"),
        "compressed.tif": _whole(encoded(picture(), "TIFF", compression="tiff_lzw"), "TIFF"),
        "deflated.tif": _whole(encoded(picture(), "TIFF", compression="tiff_adobe_deflate"), "TIFF"),
        "jpeg-inside.tif": _whole(encoded(picture(), "TIFF", compression="jpeg"), "TIFF"),
        "fax.tif": _whole(encoded(picture(mode="1"), "TIFF", compression="group4"), "TIFF"),
        "lab.tif": _whole(encoded(picture(mode="LAB"), "TIFF"), "TIFF"),
        "palette.tif": _whole(encoded(picture().quantize(16), "TIFF"), "TIFF"),
        "inverted-cmyk.jpg": _whole(cmyk_by_adobe(), "JPEG"),
        "no-subsampling.jpg": _whole(encoded(picture(), "JPEG", subsampling=0, quality=100), "JPEG"),
        "lowest-quality.jpg": _whole(encoded(picture(), "JPEG", quality=1), "JPEG"),
        "restart-markers.jpg": _whole(encoded(picture(), "JPEG", restart_marker_rows=1), "JPEG"),
        "two-in-one.jpg": _whole(jpeg + encoded(picture(64, 64), "JPEG"), "JPEG"),
        "zip-behind.jpg": _whole(jpeg + b"PK\x03\x04" + bytes(500), "JPEG"),
        "icc.jpg": _whole(encoded(picture(), "JPEG", icc_profile=profile), "JPEG"),
        "icc.png": _whole(encoded(picture(), "PNG", icc_profile=profile), "PNG"),
        "icc-broken.png": _whole(encoded(picture(), "PNG", icc_profile=b"no profile"), "PNG"),
        "exif-large.jpg": _whole(encoded(picture(), "JPEG", exif=exif), "JPEG"),
        "exif-orientation.png": _whole(encoded(picture(), "PNG", exif=orientation(6)), "PNG"),
        "exif-orientation.webp": _whole(encoded(picture(), "WEBP", exif=orientation(8)), "WEBP"),
        "comment.png": _whole(encoded(picture(), "PNG", pnginfo=comment), "PNG"),
        "interlaced.gif": _whole(encoded(picture().quantize(16), "GIF", interlace=1), "GIF"),
        "transparent.gif": _whole(encoded(picture().quantize(16), "GIF", transparency=2), "GIF"),
        "lossless.webp": _whole(encoded(picture(), "WEBP", lossless=True), "WEBP"),
        "one-bit.bmp": _whole(encoded(picture(mode="1"), "BMP"), "BMP"),
        "palette.bmp": _whole(encoded(picture().quantize(16), "BMP"), "BMP"),
        "alpha.bmp": _whole(encoded(picture(mode="RGBA"), "BMP"), "BMP"),
        "grey.pgm": _whole(encoded(picture(mode="L"), "PPM"), "PPM"),
        "bits.pbm": _whole(encoded(picture(mode="1"), "PPM"), "PPM"),
        "text.ppm": _whole(b"P3\n1 2 255\n255 0 0\n0 0 255\n", "PPM", 1, 2),
        "codestream.j2k": _whole(encoded(picture(), "JPEG2000", no_jp2=True), "JPEG2000"),
        "alpha.avif": _whole(encoded(picture(mode="RGBA"), "AVIF"), "AVIF"),
        "tall.png": _whole(encoded(picture(1, 65535), "PNG"), "PNG", 1, 65535),
        "wide.jpg": _whole(encoded(picture(65500, 1), "JPEG"), "JPEG", 65500, 1),
        "one-pixel.jpg": _whole(encoded(picture(1, 1), "JPEG"), "JPEG", 1, 1),
        "all-transparent.png": _whole(encoded(Image.new("RGBA", (40, 24), (9, 9, 9, 0)), "PNG"), "PNG"),
    }


def _damaged() -> dict[str, Oddity]:
    """Files that begin as an image and are damaged later."""
    jpeg, png = encoded(picture(400, 300), "JPEG"), encoded(picture(400, 300), "PNG")
    webp, gif = encoded(picture(400, 300), "WEBP"), encoded(picture(400, 300), "GIF")
    cut = {
        f"cut-at-{percent}-percent.{suffix}": _bad(content[: len(content) * percent // 100], "broken")
        for suffix, content in (("jpg", jpeg), ("png", png), ("webp", webp), ("gif", gif))
        for percent in (10, 50, 90)
    }
    return cut | {
        "end-marker-missing.jpg": _bad(jpeg[:-2], "broken"),
        "end-chunk-missing.png": _whole(png[:-12], "PNG", 400, 300),
        "header-only.jpg": _bad(jpeg[:20], "not-an-image"),
        "header-only.gif": _bad(gif[:6], "not-an-image"),
        "header-only.webp": _bad(webp[:12], "not-an-image"),
        # The checksum is wrong and the pixels are right: a viewer shows it, so it is captioned.
        "checksum-of-pixels.png": _whole(flipped(png, png.index(b"IEND") - 5), "PNG", 400, 300),
        "checksum-of-header.png": _bad(flipped(png, 29), "not-an-image"),
        "length-of-chunk.png": _bad(flipped(png, 34), "broken"),
        "pixels-missing.png": _bad(png[:33] + png[-12:], "broken"),
        "compressed-noise.png": _bad(png_with_pixels(40, 24, b"no zlib stream"), "broken"),
        "zero-wide.png": _bad(png_of_size(0, 10), "not-an-image"),
        "hundred-thousand.png": _bad(png_of_size(100_000, 100_000), "too-large"),
        "bomb.bmp": _bad(bmp_of_size(60_000, 60_000), "too-large"),
        "bomb.gif": _bad(gif[:6] + struct.pack("<HH", 65535, 65535) + gif[10:], "too-large"),
        "bomb.jpg": _bad(jpeg_of_size(65500, 65500), "too-large"),
        "pages-cut.tif": _bad(encoded(picture(400, 300), "TIFF")[:5000], "broken"),
        "directory-loop.tif": _bad(b"II*\x00\x08\x00\x00\x00\x00\x00\x08\x00\x00\x00", "not-an-image"),
    }


def _no_images() -> dict[str, Oddity]:
    """Files of other kinds, or of kinds that are not read, that are named like images."""
    icon = io.BytesIO()
    Image.new("RGB", (32, 32)).save(icon, "ICO")
    return {
        "error.json.jpg": _bad(b'{"error": "rate limit"}', "not-an-image"),
        "page.webp": _bad(b"<html><head><title>403 Forbidden</title></head></html>", "not-an-image"),
        "vector.png": _bad(b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', "not-an-image"),
        "document.jpg": _bad(b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n", "not-an-image"),
        "archive.jpg": _bad(b"PK\x03\x04" + bytes(200), "not-an-image"),
        "program.png": _bad(b"\x7fELF\x02\x01\x01" + bytes(200), "not-an-image"),
        "film.gif": _bad(b"\x00\x00\x00\x18ftypmp42" + bytes(200), "not-an-image"),
        "phone.heic": _bad(b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(200), "not-an-image"),
        "pointer.jpg": _bad(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "not-an-image"),
        "device-independent.dib": _bad(encoded(picture(), "DIB"), "not-an-image"),
        "icon.jpg": _bad(icon.getvalue(), "not-an-image"),
        "white-space.png": _bad(b" \n" * 50, "not-an-image"),
        "nothing.webp": _bad(b"", "empty"),
        "thumbnail-of-raw.NEF": _bad(encoded(picture(), "TIFF"), "not-an-image"),
        "thumbnail-of-raw.dng": _bad(encoded(picture(), "TIFF"), "not-an-image"),
    }


def _names() -> dict[str, Oddity]:
    png = _whole(encoded(picture(), "PNG"), "PNG")
    names = ["--help.png", " leading space.png", "trailing space .png", "tab\tinside.png", "carriage\rreturn.png"]
    names += [
        "🦀" * 60 + ".png",
        "x" * 251 + ".png",
        "*?[].png",
        "~.png",
        "%s%n.png",
        "a#b.png",
        "a.tar#b.png",
        "C:\\.png",
    ]
    names += ["SHOUTING.PNG", "no-image-before.txt.png", "two..dots.png", "e\u0301.png", "\u00e9.png", "\u202egnp.png"]
    return dict.fromkeys(names, png) | {"a-jpeg.png": _whole(encoded(picture(), "JPEG"), "JPEG")}


def orientation(number: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = number
    return exif


def cmyk_by_adobe() -> bytes:
    """A CMYK JPEG with Adobe's marker, which says that its values are inverted."""
    content = encoded(picture(mode="CMYK"), "JPEG")
    if b"Adobe" in content[:200]:
        return content
    return content[:2] + b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00" + content[2:]


def png_with_pixels(width: int, height: int, compressed: bytes) -> bytes:
    """An RGB PNG with these bytes for its compressed pixels."""
    content = png_of_size(width, height)
    kind = b"IDAT" + compressed
    return (
        content[:33] + struct.pack(">I", len(compressed)) + kind + struct.pack(">I", zlib.crc32(kind)) + content[-12:]
    )


def bmp_of_size(width: int, height: int) -> bytes:
    content = encoded(picture(), "BMP")
    return content[:18] + struct.pack("<ii", width, height) + content[26:]


def jpeg_of_size(width: int, height: int) -> bytes:
    content = encoded(picture(), "JPEG")
    at = content.index(b"\xff\xc0") + 5
    return content[:at] + struct.pack(">HH", height, width) + content[at + 4 :]
