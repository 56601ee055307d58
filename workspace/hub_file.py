"""The bytes of one file of the Hub, in ranges: what has arrived is kept when the connection breaks.

Not `hf_hub_download`: it takes the name of a temporary file from a header of the answer, passes the token on to an
address in another header (Xet), follows a body to its end whatever the size, locks files in ways that some file systems
refuse, and closes the client that other threads use. Here the catalogue says how many bytes there are, a file is a name
that the caller chose, and nothing is locked. Files in Xet storage come over HTTP from the same address, by a redirect
to a CDN, which gets no token.
"""

import re
import threading
from concurrent.futures import CancelledError
from pathlib import Path
from typing import BinaryIO

#: Bytes of one request at most: CDNs do not serve more than 50 GB in one answer, and each piece has its own retries.
PIECE = 1 << 30
#: Requests of one piece: what fails more often is judged by `hub_watch`, which waits as long as the Hub is away.
ATTEMPTS = 4
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)", re.ASCII)


class DamagedError(Exception):
    """The Hub's file is not the one that was asked for; the text continues a sentence that begins with its name."""


def download(url: str, headers: dict[str, str], path: Path, size: int, stopping: threading.Event) -> None:
    """Append to `path` what it lacks of the file at `url`, until it has `size` bytes.

    Raises `DamagedError`, `OSError` of this disk, the errors of huggingface_hub and httpx2 after the last retry, and
    `CancelledError` when `stopping` is set.
    """
    from workspace.retry import retrying

    with path.open("ab") as file:
        while file.tell() < size:
            retrying(lambda: ATTEMPTS, leaving=stopping)(_piece, url, headers, file, size, stopping)


def _piece(url: str, headers: dict[str, str], file: BinaryIO, size: int, stopping: threading.Event) -> None:
    """One request, for the next bytes of `file`."""
    from huggingface_hub import constants, get_session, hf_raise_for_status

    from workspace.hub_session import TooLargeError, limited

    at = file.tell()
    end = min(at + PIECE, size)
    wanted = {**headers, "Range": f"bytes={at}-{end - 1}", "Accept-Encoding": "identity"}
    timeout = float(constants.HF_HUB_DOWNLOAD_TIMEOUT)
    with get_session().stream("GET", url, headers=wanted, timeout=timeout, extensions=limited(size)) as response:
        if response.status_code == 416:
            raise DamagedError(f"has fewer than {at + 1} bytes, in the catalogue {size}")
        hf_raise_for_status(response)
        total = _length(response.status_code, response.headers, at)
        if total is not None and total != size:
            raise DamagedError(f"has {total} bytes, in the catalogue {size}")
        if response.status_code == 200:
            # A server that knows no ranges sends the whole file.
            file.seek(0)
            file.truncate()
            at, end = 0, size
        try:
            for part in response.iter_raw():
                if stopping.is_set():
                    raise CancelledError
                at += len(part)
                if at > end:
                    raise DamagedError(f"has more than the {size} bytes of the catalogue")
                file.write(part)
        except TooLargeError as error:
            raise DamagedError(f"has more than the {size} bytes of the catalogue") from error
        finally:
            file.flush()
    if at < end:
        if response.status_code == 200:
            raise DamagedError(f"has {at} bytes, in the catalogue {size}")
        raise ConnectionError(f"the answer ended after {at} of {size} bytes")


def _length(status: int, headers: object, at: int) -> int | None:
    """Bytes of the whole file, as an answer states them; None where it does not. Raises `DamagedError`."""
    get = headers.get  # type: ignore[attr-defined]
    if status == 200:
        stated = get("Content-Length", "")
        return int(stated) if stated.isdecimal() and len(stated) < 19 else None
    part = _CONTENT_RANGE.fullmatch(get("Content-Range", "")) if status == 206 else None
    if part is None or int(part[1]) != at:
        raise DamagedError(f"is answered with another part of it, or with the status {status}")
    return None if part[2] == "*" else int(part[2])
