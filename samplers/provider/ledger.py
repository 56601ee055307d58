"""The ledger of one generator's requests: what was sent, and what became of it.

A line is on the disk before a request is sent, and another one after it ended, whatever the end was. Of a request that
has only the first line a killed process knew no more: it may have been paid, and counts so. An answer is on the disk
too, sealed, before its line says so, and until the row of its image is. So after a kill every image that had arrived is
there, and every one that may have been paid is counted.

    requests/<org>--<name>/ledger.jsonl       one JSON object a line, appended only
    requests/<org>--<name>/answer-00000012-1  a sealed answer whose image is in no row yet

A last line without a line feed was not written whole: its request was not sent, or its end is not known. Anything else
that cannot be read is damage, and nothing is requested then: what was paid would not be known.
"""

import json
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from samplers.provider.sealing import Seal, SealError
from workspace.atomic import OpenFile, write_bytes
from workspace.errors import UsageError

State = Literal[
    "sent",  # a request is on its way, or was when its process ended: it may have been paid
    "answered",  # an answer with an image came, and is beside the ledger: paid
    "refused",  # the provider does not make this image: not paid
    "failed",  # the provider, or the network, made nothing: not paid
    "unanswered",  # it may have been paid, and no image came
    "stored",  # the row of its image, or of its refusal, is on the disk
]

#: States in which a request is paid, or may have been.
_COSTS: frozenset[str] = frozenset({"sent", "answered", "unanswered"})
#: The name of its file.
LEDGER = "ledger.jsonl"


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request and what is known of it."""

    index: int
    """Of the sample that it is for."""
    attempt: int
    """From 1, for each sample."""
    state: State
    cost: float = 0.0
    """US dollars that it costs, or may; 0 where it costs nothing."""
    at: str = ""
    """UTC, ISO 8601."""
    detail: str | None = None
    """Why it gave no image, in the provider's words."""

    @property
    def is_open(self) -> bool:
        """Whether no row says yet what became of it."""
        return self.state not in ("stored", "failed")


@dataclass(frozen=True)
class Spent:
    """What requests cost."""

    images: int = 0
    """Images that are paid, or may be."""
    dollars: float = 0.0
    uncertain: int = 0
    """Of the images: those that may be paid and did not come."""

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(self.images + other.images, self.dollars + other.dollars, self.uncertain + other.uncertain)


class Ledger:
    """The ledger of one generator; one process writes it, with several threads. Methods raise `OSError` as the file
    system does."""

    def __init__(self, folder: Path, seal: Seal | None = None) -> None:
        """Read what is there; `seal`: of answers, where it is written to. Raises `UsageError` for a damaged one."""
        self._folder, self._seal = folder, seal
        self._lock = threading.Lock()
        self._file: OpenFile | None = None
        self._requests: dict[int, dict[int, Request]] = {}
        self._costs: dict[tuple[int, int], tuple[float, bool]] = {}
        self._length = 0
        for request in self._read():
            self._count(request)

    @property
    def spent(self) -> Spent:
        """What all requests cost so far, those included that may have been paid."""
        with self._lock:
            counted = [(cost, came) for cost, came in self._costs.values()]
        return Spent(len(counted), sum(cost for cost, _ in counted), sum(not came for _, came in counted))

    def of(self, index: int) -> list[Request]:
        """The requests of a sample, in order."""
        with self._lock:
            return list(self._requests.get(index, {}).values())

    @property
    def open_requests(self) -> list[Request]:
        """Those of which no row says yet what became of them, in order."""
        with self._lock:
            by_sample = [self._requests[index] for index in sorted(self._requests)]
        return [request for attempts in by_sample for request in attempts.values() if request.is_open]

    @property
    def has_answers(self) -> bool:
        """Whether any request was answered with an image."""
        with self._lock:
            return any(came for _, came in self._costs.values())

    def send(self, index: int, cost: float) -> Request:
        """Note, on the disk, that a request is sent now."""
        with self._lock:
            attempt = 1 + max(self._requests.get(index, {}), default=0)
            return self._append(Request(index=index, attempt=attempt, state="sent", cost=cost))

    def answer(self, request: Request, content: bytes) -> Request:
        """Keep, on the disk, the answer of a request, and note that it came."""
        assert self._seal is not None
        write_bytes(self._answer(request), self._seal.seal(content))
        return self.note(request, "answered")

    def answer_of(self, request: Request) -> bytes:
        """The answer of a request that was answered. Raises `SealError` where it cannot be opened any more."""
        assert self._seal is not None
        try:
            return self._seal.open(self._answer(request).read_bytes())
        except FileNotFoundError:
            raise SealError("its file is gone") from None

    def note(self, request: Request, state: State, detail: str | None = None) -> Request:
        """Note, on the disk, what became of a request."""
        with self._lock:
            cost = request.cost if state in _COSTS or state == "stored" else 0.0
            return self._append(replace(request, state=state, cost=cost, detail=detail or request.detail))

    def stored(self, index: int) -> None:
        """Note that the row of a sample is on the disk: its answers are removed."""
        for request in self.of(index):
            if request.is_open:
                self.note(request, "stored")
            self._answer(request).unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _append(self, request: Request) -> Request:
        request = replace(request, at=datetime.now(UTC).isoformat(timespec="milliseconds"))
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            # What a killed process left half written is removed: a line after it could not be read.
            self._file = OpenFile(self._folder / LEDGER, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            self._file.cut(self._length)
        line = json.dumps({key: value for key, value in asdict(request).items() if value is not None}) + "\n"
        try:
            self._file.write(line.encode())
        except OSError:
            self._file.cut(self._length)
            raise
        self._length += len(line.encode())
        self._count(request)
        return request

    def _count(self, request: Request) -> None:
        key = request.index, request.attempt
        self._requests.setdefault(request.index, {})[request.attempt] = request
        if request.state in _COSTS:
            self._costs[key] = (request.cost, request.state == "answered")
        elif request.state != "stored":
            self._costs.pop(key, None)

    def _answer(self, request: Request) -> Path:
        return self._folder / f"answer-{request.index:08d}-{request.attempt}"

    def _read(self) -> Iterator[Request]:
        path = self._folder / LEDGER
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return
        whole, newline, _ = content.rpartition(b"\n")
        self._length = len(whole) + len(newline)
        for number, line in enumerate(whole.split(b"\n") if newline else (), 1):
            try:
                yield _request(json.loads(line))
            except (ValueError, TypeError) as error:
                raise UsageError(
                    f"{path} is damaged at line {number}: what was paid so far is not known, so nothing is requested; "
                    "restore it from a copy"
                ) from error


def _request(values: Mapping[str, object]) -> Request:
    request = Request(**values)  # type: ignore[arg-type]
    if request.state not in get_args(State) or not all(
        isinstance(number, int) and number >= 0 for number in (request.index, request.attempt)
    ):
        raise ValueError(request)
    float(request.cost)
    return request
