"""The caption in a file beside an image: `a.txt`, `a.caption`, `a.jpg.txt`, `a.json` and their like for `a.jpg`."""

import errno
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from captioning.caption_text import not_a_caption
from captioning.sources.captions import (
    CAPTION_BYTES,
    Captions,
    captions_in_row,
    captions_in_text,
    json_object,
)
from workspace.regular_file import read_regular

#: What is added to an image's name, with or without its own suffix: the first with a caption counts.
SIDE_SUFFIXES = (".txt", ".caption", ".json")


def side_suffix(name: str) -> str | None:
    """What a file adds to the name of an image that it may be beside, as it is spelt (.TXT); None: it is no side
    file."""
    return next((name[-len(suffix) :] for suffix in SIDE_SUFFIXES if name.lower().endswith(suffix)), None)


def captions_beside(
    path: Path, within: Path, suffixes: Iterable[str], caption_column: str | None = None
) -> tuple[Captions, dict[str, Any]]:
    """The captions beside an image, and the JSON object beside it; `suffixes`: which side files there are at all.

    Side files are regular files in the folder `within`. Raises `OSError` for one that cannot be read.
    """
    found, row = Captions(), dict[str, Any]()
    for suffix in suffixes:
        for side in (path.with_suffix(suffix), path.with_name(path.name + suffix)):
            content = _read(side, within)
            if content is None:
                continue
            if suffix.lower() == ".json":
                row = json_object(content)
                captions = captions_in_row(row, caption_column)
            else:
                captions = captions_in_text(content)
            unusable = [reason for text in captions.texts if (reason := not_a_caption(text.strip())) is not None]
            if len(unusable) < len(captions.texts):
                return Captions(captions.texts, found.dropped + captions.dropped), row
            # Labels of a detector, or nothing: another file may have the caption.
            found = Captions(found.texts or captions.texts, found.dropped + captions.dropped)
    return found, row


def _read(path: Path, within: Path) -> bytes | None:
    try:
        return read_regular(path, within, CAPTION_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:  # the image's name already has the greatest length
            return None
        raise
