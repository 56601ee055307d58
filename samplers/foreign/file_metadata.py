"""What an image file says beside its pixels: texts, EXIF, XMP, and whether it has Content Credentials.

Read in the process that decodes the file. The bytes stay as they are: this is what a column can say of them. Where a
photograph was taken (GPS) is not copied into a column, only that the file says so.

Content Credentials (C2PA) are found by where the specification puts them (C2PA 2.1, annex A.3): a PNG chunk `caBX`,
JUMBF boxes in the APP11 segments of a JPEG, a RIFF chunk `C2PA` of a WebP. They are not verified.
"""

import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image

#: Characters of one text, and of all texts of a file, at most; what is longer is cut, and says so.
LONGEST_TEXT, LONGEST = 20_000, 60_000
#: Fields of EXIF at most.
_MOST_FIELDS = 100
_EXIF_IFD, _GPS_IFD, _USER_COMMENT = 0x8769, 0x8825, 0x9286
_ENCODINGS = {b"ASCII\0\0\0": "ascii", b"UNICODE\0": "utf-16", b"JIS\0\0\0\0\0": "iso2022_jp", b"\0" * 8: "utf-8"}


def file_texts(image: "Image.Image") -> dict[str, str]:
    """The texts of an image that Pillow has opened and loaded, by field: PNG texts under their keys, EXIF fields as
    exif:NAME, the comment of a JPEG as comment, XMP as xmp."""
    from PIL import ExifTags

    found: dict[str, str] = {}
    for name, value in sorted(dict(getattr(image, "text", {})).items()):
        if name not in ("XML:com.adobe.xmp", "Raw profile type exif"):
            found[str(name)] = str(value)
    exif = image.getexif()
    fields = {**{tag: exif[tag] for tag in exif}, **exif.get_ifd(_EXIF_IFD)}
    for tag in sorted(fields)[:_MOST_FIELDS]:
        if tag not in (_EXIF_IFD, _GPS_IFD):
            text = _exif_text(tag, fields[tag])
            if text:
                found[f"exif:{ExifTags.TAGS.get(tag, str(tag))}"] = text
    if exif.get_ifd(_GPS_IFD):
        found["exif:GPSInfo"] = "(has a place, which is not copied)"
    for name, value in (("comment", image.info.get("comment")), ("xmp", image.info.get("xmp"))):
        if isinstance(value, bytes | str) and value:
            found[name] = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return found


def has_c2pa(content: bytes) -> bool:
    """Whether a file has Content Credentials."""
    try:
        if content[:8] == b"\x89PNG\r\n\x1a\n":
            return _png_has_c2pa(content)
        if content[:2] == b"\xff\xd8":
            return _jpeg_has_c2pa(content)
        if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
            return _riff_has_c2pa(content)
    except struct.error:
        return False
    return False


def _png_has_c2pa(content: bytes) -> bool:
    at = 8
    while at + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        if kind == b"caBX":
            return True
        at += 12 + length
    return False


def _jpeg_has_c2pa(content: bytes) -> bool:
    at = 2
    while at + 4 <= len(content) and content[at] == 0xFF:
        marker, length = content[at + 1], struct.unpack_from(">H", content, at + 2)[0]
        if marker == 0xDA:  # the picture begins
            return False
        segment = content[at + 4 : at + 2 + length]
        if marker == 0xEB and segment[:2] == b"JP" and b"c2pa" in segment:
            return True
        at += 2 + length
    return False


def _riff_has_c2pa(content: bytes) -> bool:
    at = 12
    while at + 8 <= len(content):
        kind, length = struct.unpack_from("<4sI", content, at)
        if kind == b"C2PA":
            return True
        at += 8 + length + length % 2
    return False


def _exif_text(tag: int, value: Any) -> str:
    if tag == _USER_COMMENT and isinstance(value, bytes):
        encoding = _ENCODINGS.get(value[:8])
        body = value[8:]
        if encoding == "utf-16":
            # The standard names no byte order: most texts are of the Latin alphabet, whose high bytes are zero.
            encoding = "utf-16-be" if body[:1] == b"\0" else "utf-16-le"
        return body.decode(encoding, "replace").strip("\0 ") if encoding else ""
    if isinstance(value, bytes):
        return ""
    return str(value).strip("\0 ")


def bounded(texts: dict[str, str]) -> dict[str, str]:
    """The texts, long ones cut."""
    left, found = LONGEST, dict[str, str]()
    for name, text in texts.items():
        most = min(LONGEST_TEXT, left)
        found[name[:100]] = text if len(text) <= most else f"{text[:most]} (cut: {len(text):,} characters)"
        left -= min(len(text), most)
    return found
