"""A process with limits, from the outside: started, asked, and killed when an answer takes too much.

It runs a module of this project that calls `serving.serve`. Its environment is a list of what it needs, not this
process's without some names; it gets no path, but files that are open already. The time that counts is the processor
time it used, as the kernel says, so that a busy machine refuses nothing; a longer limit holds for the time on the
clock. It is in a session of its own, so that only this process receives a Ctrl-C, and it ends when the other end of its
socket closes, at the latest with this process.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workspace.environment import without_secrets
from workspace.errors import CommunityForensicsError
from workspace.limited.channel import SECONDS, MessageError, receive, send

#: Several of these processes work at a time.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

#: Serves a read of the process in a file that it cannot open itself: offset and length -> bytes.
ReadAt = Callable[[int, int], bytes]


@dataclass(frozen=True)
class Limits:
    """What one answer may take: processor seconds, seconds on the clock, bytes of memory (None: no limit) and of it."""

    processor: float = 60.0
    clock: float = 600.0
    memory: int | None = 4 << 30
    answer: int = 2 << 30


@dataclass(frozen=True)
class Script:
    """A program for another Python, with packages of its own: `path` is a file that calls `serving.serve`."""

    python: Path
    path: Path


#: What reading data may raise that may be anything.
NONSENSE = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError)
#: The words for an answer of which reading raised one of them.
NO_SENSE = "sent an answer that makes no sense"


class LostError(Exception):
    """The process ended before it answered; the message says how."""


class LimitError(Exception):
    """The process was killed, because an answer took more than its limits; the message says which."""


class LimitedProcess:
    """One process; used by one thread at a time, except `close`."""

    def __init__(
        self,
        program: str | Script,
        limits: Limits,
        readable: Iterable[Path] = (),
        home: Path | None = None,
        environment: Mapping[str, str] = ONE_THREAD,
    ) -> None:
        """Start `program`, a module of this project or a script, with these variables besides.

        It may read the folders `readable` and write the folder `home`. Raises `CommunityForensicsError` when it does
        not start.
        """
        self._limits = limits
        self._link, remote = socket.socketpair()
        self._link.settimeout(min(1.0, limits.processor / 4, limits.clock / 4))
        settings = {
            "memory": limits.memory,
            "readable": [str(folder) for folder in readable],
            "home": None if home is None else str(home),
        }
        with remote:
            self._process = _started(program, remote, json.dumps(settings), environment)
        self._owner = os.getpid()
        weakref.finalize(self, _end_all, self._process, self._link, self._owner)
        try:
            self.walls: list[str] = self._answer(None)[0]["walls"]
        except (LostError, LimitError) as error:
            raise CommunityForensicsError(f"a process that opens strangers' files did not start: it {error}") from error

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    @property
    def usable(self) -> bool:
        """Whether it runs, and was started by this process and not by one that this is a fork of."""
        return self._process.returncode is None and self._owner == os.getpid()

    def ask(
        self,
        message: dict[str, Any],
        body: bytes = b"",
        files: Sequence[int] = (),
        read: ReadAt | None = None,
        more_seconds: float = 0,
    ) -> tuple[dict[str, Any], bytes]:
        """Its answer: a message and bytes. What it asks to read meanwhile is given by `read`.

        `more_seconds` of processor time are allowed beyond its limits. After an error the process has ended. Raises
        `LostError`, `LimitError`, and what `read` raises.
        """
        processor = self._limits.processor + more_seconds
        deadline = self._deadline(processor)
        try:
            try:
                # It ends itself a little later, for the case that this process has ended by then.
                send(self._link, {**message, SECONDS: 2 * processor}, body, files, deadline)
            except OSError as error:
                raise LostError(self._how()) from error
            while True:
                answer = self._answer(deadline)
                if "read" not in answer[0] or read is None:
                    return answer
                try:
                    offset, length = (int(number) for number in answer[0]["read"])
                    if not (0 <= offset < 1 << 62 and length >= 0):
                        raise ValueError
                except NONSENSE as error:
                    raise LostError(NO_SENSE) from error
                content = read(offset, min(length, self._limits.answer))
                deadline = self._deadline(processor)
                send(self._link, {}, content, (), deadline)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Kill it; may be called from any thread."""
        _end(self._process, self._owner)

    def _answer(self, deadline: Callable[[], None] | None) -> tuple[dict[str, Any], bytes]:
        try:
            return receive(self._link, self._limits.answer, deadline or self._deadline(self._limits.processor))
        except (EOFError, OSError) as error:
            raise LostError(self._how()) from error
        except MessageError as error:
            self.close()
            raise LostError(f"sent {error}") from error

    def _deadline(self, processor: float) -> Callable[[], None]:
        """A function that kills the process and raises `LimitError` once its limits are exceeded."""
        limits, used, started = self._limits, _processor_seconds(self.pid), time.monotonic()

        def check() -> None:
            if _processor_seconds(self.pid) - used > processor:
                self.close()
                raise LimitError(f"took more than {round(processor, 1):g} seconds of processor time")
            if time.monotonic() - started > limits.clock:
                self.close()
                raise LimitError(f"did not answer for {limits.clock:g} seconds")

        return check

    def _how(self) -> str:
        """How it ended."""
        self._link.close()
        code = self._process.wait()  # its end of the socket is closed, so it has ended or is about to
        return f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"


def _started(
    program: str | Script, link: socket.socket, settings: str, environment: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    """The process of a program, which has its end of the link."""
    start, variables = _start(program)
    return subprocess.Popen(
        [*start, str(link.fileno()), settings],
        pass_fds=[link.fileno()],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        env={**variables, **environment},
    )


def _start(program: str | Script) -> tuple[list[str], dict[str, str]]:
    """The command that starts a program, and its environment."""
    variables = without_secrets()
    if isinstance(program, Script):
        variables.pop("PYTHONPATH", None)
        return [str(program.python), "-P", str(program.path)], variables
    # It imports from where this process does, and not from the working directory (-P).
    path = os.pathsep.join(filter(None, sys.path))
    return [sys.executable, "-P", "-m", program], {**variables, "PYTHONPATH": path}


def _processor_seconds(pid: int) -> float:
    """Seconds that a process has used, all its threads together; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _end(process: "subprocess.Popen[bytes]", owner: int) -> None:
    if owner == os.getpid():  # not in a fork of the process that started it
        process.kill()
        process.wait()


def _end_all(process: "subprocess.Popen[bytes]", link: socket.socket, owner: int) -> None:
    _end(process, owner)
    with contextlib.suppress(OSError):
        link.close()
