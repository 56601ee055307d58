"""What must hold before a manifest is called finished.

The rows first, by queries over the joined manifest and the records it came from; then the files, in threads. Each
check names the rows that fail it; all checks run, so that one look shows everything. `quick` reads a sample of the
files to compare their sha256, `full` all of them; that every file is there and none is empty is always looked at.
"""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import duckdb

from manifests.images import ImageReader
from manifests.manifest import FAKE
from workspace.errors import CommunityForensicsError
from workspace.layout import Workspace

Verify = Literal["quick", "full"]

#: Of how many files `quick` reads one whole. The choice hangs on the file's sha256, so it is the same every time.
QUICK_ONE_IN = 50

#: Rows named in the message of a check that failed.
NAMED_ROWS = 5

#: Files looked at together: enough to hide a shared file system's latency.
THREADS = 16
_CHUNK = 4_096

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

#: The chunks that make the picture itself; anything else is metadata, or an animation.
_PICTURE_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})

# What is wrong, and the rows of which that is so. `manifest` is the joined table.
_QUERIES = {
    "stand twice in samples/": """
        SELECT model_name || ' #' || "index" FROM samples
        GROUP BY model_name, "index" HAVING count(*) > 1 ORDER BY ALL""",
    "come from a generator that the catalogue does not have at that revision": """
        SELECT DISTINCT s.model_name || '@' || s.revision FROM samples s
        ANTI JOIN catalog c ON c.model_name = s.model_name AND c.revision = s.revision ORDER BY ALL""",
    "name a prompt that prompts/ does not have": """
        SELECT s.model_name || ' #' || s."index" || ': ' || s.prompt_id FROM samples s
        ANTI JOIN prompts p ON p.prompt_id = s.prompt_id WHERE s.prompt_id IS NOT NULL ORDER BY ALL""",
    "are prompts whose id stands twice in prompts/": """
        SELECT prompt_id FROM prompts GROUP BY prompt_id HAVING count(*) > 1 ORDER BY ALL""",
    "are generators that stand twice in the catalogue": """
        SELECT model_name FROM catalog GROUP BY model_name HAVING count(*) > 1 ORDER BY ALL""",
    "share their file with another image": f"""
        SELECT path FROM manifest WHERE label = {FAKE} GROUP BY path HAVING count(*) > 1 ORDER BY ALL""",
    "were kept although flagged, or without being checked": f"""
        SELECT path FROM manifest WHERE label = {FAKE} AND nsfw_flag IS DISTINCT FROM FALSE ORDER BY ALL""",
    "were rejected and still have pixels": """
        SELECT model_name || ' #' || "index" FROM samples
        WHERE status <> 'ok' AND (image.path IS NOT NULL OR image.bytes IS NOT NULL) ORDER BY ALL""",
}


@dataclass(frozen=True)
class Failure:
    """One check that failed."""

    what: str
    rows: int
    named: tuple[str, ...]

    def __str__(self) -> str:
        more = f" and {self.rows - len(self.named)} more" if self.rows > len(self.named) else ""
        return f"{self.rows} {self.what}: {', '.join(self.named)}{more}"


def check_rows(connection: duckdb.DuckDBPyConnection) -> list[Failure]:
    """What is wrong with the rows; `connection` sees the records (`joining.opened`) and the joined `manifest`."""
    failures = []
    for what, query in _QUERIES.items():
        count, named = connection.execute(
            f"SELECT count(*), list(row_name)[:{NAMED_ROWS}] FROM ({query}) AS failing(row_name)"
        ).fetchone() or (0, [])
        if count:
            failures.append(Failure(what, count, tuple(named)))
    return failures


def check_files(
    workspace: Workspace,
    connection: duckdb.DuckDBPyConnection,
    verify: Verify,
    advance: Callable[[int], None] = lambda _: None,
) -> list[Failure]:
    """What is wrong with the files of the joined `manifest`; `advance` hears how many more were looked at.

    A real image that may not be passed on need not be at hand: the dataset holds its row, not its pixels.
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


def refuse(failures: list[Failure]) -> None:
    """Raise `CommunityForensicsError` that tells every failure; nothing when there is none."""
    if failures:
        told = "".join(f"\n  - {failure}" for failure in failures)
        raise CommunityForensicsError(f"no manifest was written, for the workspace does not add up:{told}")


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
