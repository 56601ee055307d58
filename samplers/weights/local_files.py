"""One file of a generator on this machine, copied to where weights are stored, equal to the catalogue's, or the reason
why not.

It is copied, not linked: whoever writes to the original during a run changes no byte that is sampled. The bytes are
hashed as they are copied. The messages go into outcomes, which are published: they name no path of this machine.
"""

import hashlib
import os
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import contextmanager
from pathlib import Path

from crawler.catalog import LOCAL_DIGITS, ModelFile
from workspace.regular_file import NotRegularError, OutsideError, open_regular
from workspace.roots import place_name

#: Bytes read at a time.
_CHUNK = 1 << 22
_REMEDY = "crawl it again with `cf-crawl --from FILE` (a program: `cf-add FILE`)"


class LocalFileError(Exception):
    """A file is not there, cannot be read, or is not the one of the catalogue; the text continues a sentence that
    begins with its name."""


class LocalFiles:
    """Where generators are on this machine, by their names in `roots.toml`."""

    def __init__(self, places: Mapping[str, Path]) -> None:
        self._places = places

    def fetch(
        self,
        model_name: str,
        revision: str,
        file: ModelFile,
        destination: Path,
        scratch: Path,
        stopping: threading.Event,
    ) -> float | None:
        """Copy a file to `destination`, by way of the folder `scratch`; the seconds that it took. None: it is a file of
        the Hub.

        Raises `LocalFileError`, `OSError` of the disk that is written, and `CancelledError` when `stopping` is set.
        """
        place, path = self._place(place_name(model_name, revision), file.path)
        if place is None:
            if len(revision) == LOCAL_DIGITS:
                raise LocalFileError(f"is on a machine, and roots.toml does not say where it is on this one: {_REMEDY}")
            return None
        started, content = time.perf_counter(), scratch / "content"
        scratch.mkdir(parents=True, exist_ok=True)
        _copy(place, path, file, content, stopping)
        content.replace(destination)
        return time.perf_counter() - started

    def _place(self, name: str, path: str) -> tuple[Path | None, str]:
        """The folder or the file that has this path, and the path in it. The parts of a program have places of their
        own: NAME/PART."""
        if name in self._places:
            return self._places[name], path
        part, _, below = path.partition("/")
        return self._places.get(f"{name}/{part}"), below


def _copy(place: Path, path: str, file: ModelFile, content: Path, stopping: threading.Event) -> None:
    digest, left = hashlib.sha256(), file.size
    with content.open("wb") as copy:
        for part in _parts(place, path):
            if stopping.is_set():
                raise CancelledError
            left -= len(part)
            if left < 0:
                break
            digest.update(part)
            copy.write(part)
        copy.flush()
        os.fsync(copy.fileno())
    if left or digest.hexdigest() != file.sha256:
        raise LocalFileError(f"was changed after the crawl: {_REMEDY}, or put the file back as it was")


def _parts(place: Path, path: str) -> Iterator[bytes]:
    with _reading():
        place = place.resolve()
        file = open_regular(place / path, place) if place.is_dir() else open_regular(place)
    with file:
        while True:
            with _reading():
                part = file.read(_CHUNK)
            if not part:
                return
            yield part


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except OutsideError as error:
        raise LocalFileError("is a link that leads out of its folder") from error
    except NotRegularError as error:
        raise LocalFileError("is not a regular file") from error
    except OSError as error:
        raise LocalFileError(f"cannot be read: {error.strerror}; put it back, or {_REMEDY}") from error
