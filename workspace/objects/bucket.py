"""The objects of a workspace: requests to a bucket, each of which is made on a condition.

An object is created where there is none (`If-None-Match: *`), or replaced where it is still the one that was seen
(`If-Match` with its ETag). So of several processes that write one object exactly one succeeds, and nothing is replaced
that the writer has not seen. A request whose answer was lost is repeated and then fails on its own condition: what is
there is compared with what was to be written, and counts if it is the same.

Credentials, region and endpoint come from the environment, as for AWS's own tools (AWS_ACCESS_KEY_ID,
AWS_ENDPOINT_URL, ...); none of them is ever in a message. Answers 5xx and 429 ("slow down") and broken connections are
repeated with growing pauses for up to `PATIENCE`.
"""

import os
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workspace.errors import ChangedElsewhereError, CommunityForensicsError, UsageError

if TYPE_CHECKING:
    from obstore.store import S3Store

#: Seconds for which a request is repeated: a node that has no network for some minutes does not lose its work.
PATIENCE = 300.0
#: The same for the first request of a command, which finds a wrong endpoint.
FIRST_PATIENCE = 8.0
#: Objects larger than this are sent in several parts, which are not put on a condition: S3's limit of a single request
#: is 5 GB, and all of one request is in memory.
LARGEST_AT_ONCE = 1 << 30
#: Attempts to write where the server answers 409 because another write of the same object was under way.
_ATTEMPTS = 6
_ADDRESS = re.compile(r"s3:/{1,2}(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(?P<prefix>.+)", re.ASCII)
_PREFIX = re.compile(r"[A-Za-z0-9!_.*'()-]+(?:/[A-Za-z0-9!_.*'()-]+)*", re.ASCII)
_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>([A-Za-z0-9]{1,60})</Code>")


@dataclass(frozen=True)
class Found:
    """An object as the store lists it."""

    etag: str
    size: int
    """Bytes."""
    written: float
    """When it was written, in seconds since 1970 by the server's clock; whole seconds on most servers."""


class GoneError(CommunityForensicsError):
    """An object was removed between its listing and its reading."""


class Bucket:
    """The objects below one prefix; names are relative to it. All methods raise `CommunityForensicsError` in one line
    where the store refuses or does not answer, and `UsageError` where the user can mend it."""

    def __init__(self, address: str) -> None:
        """`address`: s3://BUCKET/PREFIX. Raises `UsageError` for another one, and for settings that do not fit."""
        match = _ADDRESS.fullmatch(str(address).rstrip("/"))
        prefix = match["prefix"] if match else ""
        if match is None or not _PREFIX.fullmatch(prefix) or ".." in prefix:
            raise UsageError(
                f"--workspace {address} is no address of a workspace: name s3://BUCKET/NAME, with a bucket that exists "
                "and a name of letters, digits and . _ - /"
            )
        self.address = f"s3://{match['bucket']}/{prefix}"
        self._bucket, self._prefix = match["bucket"], prefix
        self._store = self._opened(PATIENCE)

    def _opened(self, patience: float) -> "S3Store":
        from obstore.store import S3Store

        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        options: dict[str, Any] = {"endpoint": endpoint.rstrip("/")} if endpoint else {}
        try:
            return S3Store(
                self._bucket,
                prefix=self._prefix,
                # Where an endpoint is named, names of buckets below it are seldom names of hosts.
                virtual_hosted_style_request=endpoint is None,
                client_options={
                    "allow_http": bool(endpoint and endpoint.startswith("http://")),
                    "connect_timeout": timedelta(seconds=10),
                    "timeout": timedelta(seconds=120),
                },
                retry_config={
                    "max_retries": 1000,
                    "retry_timeout": timedelta(seconds=patience),
                    "backoff": {
                        "init_backoff": timedelta(milliseconds=100),
                        "max_backoff": timedelta(seconds=15),
                        "base": 2,
                    },
                },
                **options,
            )
        except Exception as error:
            raise UsageError(
                f"{self.address} cannot be opened with these settings (AWS_...): {_short(error)}"
            ) from error

    def require(self, *, writing: bool) -> None:
        """Raise `UsageError` where the bucket does not exist or may not be used, or, for `writing`, where the server
        ignores the conditions of a write: two processes could replace each other's files there."""
        patient, self._store = self._store, self._opened(FIRST_PATIENCE)
        try:
            with self._errors("listed"):
                next(iter(self._store.list(chunk_size=1)), None)
            if writing:
                self._require_conditions()
        finally:
            self._store = patient

    def _require_conditions(self) -> None:
        name = f".locks/probe-{secrets.token_hex(8)}"
        first = self._put(name, b"1", "create")
        try:
            ignored = first is None
            ignored = ignored or self._put(name, b"2", "create") is not None
            ignored = ignored or self._put(name, b"3", {"e_tag": '"00000000000000000000000000000000"'}) is not None
            ignored = ignored or first is None or self._put(name, b"4", {"e_tag": first}) is None
        finally:
            self.remove(name)
        if ignored:
            raise UsageError(
                f"{self.address}: this server ignores conditional writes (If-None-Match, If-Match), so processes could "
                "replace each other's files: use a server that has them (AWS S3, MinIO, Ceph, Cloudflare R2, ...), or "
                "a folder"
            )

    def listing(self, prefix: str = "") -> dict[str, Found]:
        """The objects below a prefix, which ends in a slash or is empty, by their names."""
        found: dict[str, Found] = {}
        with self._errors("listed"):
            for chunk in self._store.list(prefix or None):
                for one in chunk:
                    found[one["path"]] = _found(one)
        return found

    def look(self, name: str) -> Found | None:
        """One object; None where there is none."""
        with self._errors("read"):
            try:
                return _found(self._store.head(name))
            except FileNotFoundError as error:
                self._require_bucket(error)
                return None

    def read(self, name: str) -> tuple[bytes, Found] | None:
        """The content of an object; None where there is none."""
        with self._errors("read"):
            try:
                answer = self._store.get(name)
                return bytes(answer.bytes()), _found(answer.meta)
            except FileNotFoundError as error:
                self._require_bucket(error)
                return None

    def read_ranges(self, name: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Parts of an object, each from the first byte to the one before the second. Raises `GoneError`."""
        starts, ends = [start for start, _ in ranges], [end for _, end in ranges]
        with self._errors("read"):
            try:
                return [bytes(part) for part in self._store.get_ranges(name, starts=starts, ends=ends)]
            except FileNotFoundError as error:
                self._require_bucket(error)
                raise self._gone(name) from None

    def download(self, name: str, path: Path) -> Found:
        """Write an object to a file. Raises `GoneError`."""
        with self._errors("read"):
            try:
                answer = self._store.get(name)
            except FileNotFoundError as error:
                self._require_bucket(error)
                raise self._gone(name) from None
            with path.open("wb") as file:
                for chunk in answer:
                    file.write(chunk)
            return _found(answer.meta)

    def create(self, name: str, content: bytes | Path) -> str:
        """Make an object where there is none; returns its ETag. Raises `ChangedElsewhereError` where there is another
        one; the same one counts as made."""
        return self._written(name, content, None)

    def replace(self, name: str, content: bytes | Path, etag: str) -> str:
        """Replace an object that still has this ETag; returns the new one. Raises `ChangedElsewhereError` where it has
        another one; where it has this content already, it counts as replaced."""
        return self._written(name, content, etag)

    def _written(self, name: str, content: bytes | Path, etag: str | None) -> str:
        mode: Any = "create" if etag is None else {"e_tag": etag}
        for attempt in range(_ATTEMPTS):
            if (made := self._put(name, content, mode)) is not None:
                return made
            there = self.read(name)
            if there is not None and there[0] == _bytes(content):
                return there[1].etag
            if (None if there is None else there[1].etag) != etag:
                break
            # Another request for it was under way, and did not succeed either.
            time.sleep(0.05 * 2**attempt)
        raise ChangedElsewhereError(
            f"{self.address}/{name}: another process wrote it meanwhile; its content counts. Run the same command again"
        )

    def _put(self, name: str, content: bytes | Path, mode: Any) -> str | None:
        """The ETag of what was written; None where the condition does not hold."""
        import obstore.exceptions as refused

        large = isinstance(content, Path) and content.stat().st_size > LARGEST_AT_ONCE
        with self._errors("written"):
            try:
                if large:
                    return str(self._store.put(name, content, use_multipart=True)["e_tag"])
                return str(self._store.put(name, content, mode=mode, use_multipart=False)["e_tag"])
            except (refused.AlreadyExistsError, refused.PreconditionError):
                return None
            except FileNotFoundError as error:
                # What was to be replaced is gone.
                self._require_bucket(error)
                return None

    def remove(self, name: str) -> None:
        """Remove an object, if it is there."""
        with self._errors("removed"):
            try:
                self._store.delete(name)
            except FileNotFoundError as error:
                self._require_bucket(error)

    def _gone(self, name: str) -> GoneError:
        return GoneError(f"{self.address}/{name} was removed while it was read: run the same command again")

    def _require_bucket(self, error: Exception) -> None:
        if "NoSuchBucket" in str(error):
            raise UsageError(f"{self.address}: there is no such bucket: make it, or name another one") from error

    @contextmanager
    def _errors(self, done: str) -> Iterator[None]:
        """A block with requests: their errors in one line, without anything of the request itself."""
        from obstore.exceptions import BaseError, NotSupportedError, PermissionDeniedError, UnauthenticatedError

        try:
            yield
        except (BaseError, FileNotFoundError, PermissionError) as error:
            self._require_bucket(error)
            reason = _short(error)
            refused = isinstance(error, PermissionDeniedError | UnauthenticatedError | PermissionError)
            if refused or reason.startswith(("401", "403")):
                raise UsageError(
                    f"{self.address} may not be {done} ({reason}): check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and "
                    "what they are allowed to do there"
                ) from None
            if isinstance(error, NotSupportedError) or "NotImplemented" in str(error):
                raise UsageError(
                    f"{self.address} cannot be {done} ({reason}): this server has no conditional writes, or not this "
                    "request; use one that has, or a folder"
                ) from None
            raise CommunityForensicsError(
                f"{self.address} cannot be {done} ({reason}): check the network, AWS_ENDPOINT_URL, AWS_REGION and the "
                "credentials, then run the same command again"
            ) from None


def _found(meta: Any) -> Found:
    return Found(str(meta["e_tag"] or ""), int(meta["size"]), meta["last_modified"].timestamp())


def _bytes(content: bytes | Path) -> bytes:
    return content.read_bytes() if isinstance(content, Path) else content


def _short(error: Exception) -> str:
    """What the server answered, by its codes only: a message may quote a request, and a request its credentials."""
    text = str(error)
    found = [match[1] for match in (_STATUS.search(text), _CODE.search(text)) if match is not None]
    if found:
        return " ".join(found)
    if "169.254" in text or "instance metadata" in text.lower():
        return "no credentials in the environment"
    for sign in ("Connection refused", "dns error", "timed out", "certificate"):
        if sign.lower() in text.lower():
            return sign.lower()
    if "error sending request" in text or "HTTP error" in text:
        return "no answer"
    return type(error).__name__
