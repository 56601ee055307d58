"""What must hold of the files that a manifest names.

`quick` reads a sample of the files to compare their sha256, `full` all of them; that every file is there and none is
empty is always looked at.
"""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import duckdb

from manifests.checks.failures import NAMED_ROWS, Failure
from manifests.images import ImageReader
from manifests.manifest import FAKE
from workspace.layout import Workspace

Verify = Literal["quick", "full"]

#: Of how many files `quick` reads one whole. The choice hangs on the file's sha256, so it is the same every time.
QUICK_ONE_IN = 50

#: Files looked at together: enough to hide a shared file system's latency.
THREADS = 16
_CHUNK = 4_096

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

#: The chunks that make the picture itself; anything else is metadata, or an animation.
_PICTURE_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})


def check_files(
    workspace: Workspace,
    connection: duckdb.DuckDBPyConnection,
    verify: Verify,
    advance: Callable[[int], None] = lambda _: None,
) -> list[Failure]:
    """What is wrong with the files of the joined `manifest`; `advance` hears how many more were looked at.

    A real image that may not be passed on is not looked at: it may be at another place by now.
    """
    wrong: dict[str, list[str]] = {}
    images = ImageReader(workspace)
    rows = connection.execute("SELECT path, sha256, label FROM manifest WHERE label = ? OR redistributable", [FAKE])
    with ThreadPoolExecutor(THREADS) as threads:
        for chunk in iter(lambda: rows.fetchmany(_CHUNK), []):
            for (path, _, _), what in zip(
                chunk, threads.map(lambda row: _look(images, verify, *row), chunk), strict=True
            ):
                if what is not None:
                    wrong.setdefault(what, []).append(path)
            advance(len(chunk))
    return [Failure(what, len(paths), tuple(sorted(paths)[:NAMED_ROWS])) for what, paths in sorted(wrong.items())]


def chunks_of(content: bytes) -> Iterator[bytes]:
    """The types of a PNG's chunks, in order; stops early where the file does."""
    at = len(_PNG_SIGNATURE)
    while at + 8 <= len(content):
        yield content[at + 4 : at + 8]
        at += 12 + int.from_bytes(content[at : at + 4], "big")


def _look(images: ImageReader, verify: Verify, path: str, sha256: str, label: int) -> str | None:
    """What is wrong with one file; None: nothing."""
    try:
        if images.size(path) == 0:
            return "are empty files"
        if verify == "quick" and int(sha256[:8], 16) % QUICK_ONE_IN:
            return None
        content = images.read(path)
        if hashlib.sha256(content).hexdigest() != sha256:
            return "have another sha256 than their row says"
        return _look_at_png(content) if label == FAKE else None
    except FileNotFoundError:
        return "are not there"
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def _look_at_png(content: bytes) -> str | None:
    if not content.startswith(_PNG_SIGNATURE):
        return "are not PNG files"
    if not _PICTURE_CHUNKS.issuperset(chunks_of(content)):
        return "hold metadata beside the picture"
    return None
