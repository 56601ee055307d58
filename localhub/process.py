"""A Hub in a child process, during a `with` block.

    with HubProcess(directory) as hub:
        subprocess.run(["cf-crawl"], env={**os.environ, **hub.environment()})

Clients read `HF_ENDPOINT` when they are imported, so run them in child processes with `environment()`, or give them
`endpoint` explicitly.
"""

import contextlib
import http.client
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from localhub.control import VARIABLE
from workspace.errors import CommunityForensicsError

#: How long the server may take until it accepts connections, in seconds: imports from a slow disk.
START_SECONDS = 60.0
#: How long it may take to stop before it is killed, in seconds.
STOP_SECONDS = 10.0
#: How long it may take to answer a request of this class, in seconds.
ANSWER_SECONDS = 30.0


class HubProcess:
    """Serves `directory` on a free port of the loopback interface. It ends with this process, even if that is killed.

    `tokens`: as for `cf-hub serve --token`. `arguments`: further options of `cf-hub serve`. `control`: whether faults
    can be set and requests be seen, by this object only.
    """

    def __init__(
        self,
        directory: Path | str,
        *,
        tokens: Iterable[str] = (),
        request_log: Path | None = None,
        arguments: Sequence[str] = (),
        control: bool = True,
    ):
        self.directory = Path(directory)
        self.endpoint = ""
        self._tokens = tuple(tokens)
        self._log = ["--request-log", str(request_log)] if request_log else []
        self._arguments = [*arguments, *(["--control"] if control else [])]
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        # Only this object sets faults and sees the requests.
        self._secret = secrets.token_hex(16)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server and wait until it accepts connections; raises `CommunityForensicsError` if it does not."""
        # Kept until the server stops: it still synchronizes this folder after the file appeared there.
        self._folder = tempfile.TemporaryDirectory(prefix="cf-hub-")
        ready = Path(self._folder.name, "ready")
        options = ["--ready-file", str(ready), "--while-stdin-open", *self._log, *self._arguments]
        # Secrets are passed in the environment: everybody on the machine can read a command line.
        secret = {VARIABLE: self._secret, **({"CF_HUB_TOKENS": " ".join(self._tokens)} if self._tokens else {})}
        self._process = _cf_hub(["serve", str(self.directory), "--port", "0", *options], {**os.environ, **secret})
        deadline = time.monotonic() + START_SECONDS
        while not ready.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise CommunityForensicsError(f"cf-hub serve {self.directory} did not start; see its output above")
            time.sleep(0.01)
        self.endpoint = ready.read_text(encoding="ascii")

    def stop(self) -> None:
        """Stop the server and wait until it has ended."""
        if self._process is None:
            return
        process, self._process = self._process, None
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdin:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
        if self._folder is not None:
            self._folder.cleanup()

    @property
    def pid(self) -> int:
        """The server's process id."""
        if self._process is None:
            raise CommunityForensicsError("this Hub is not running")
        return self._process.pid

    def environment(self, token: str | None = None) -> dict[str, str]:
        """The environment variables that make clients use this Hub and no other server.

        This Hub has no Xet. The others stop clients from using proxies, update checks and download counters.
        """
        variables = {
            "HF_ENDPOINT": self.endpoint,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_UPDATE_CHECK": "1",
            "HF_UPDATE_DOWNLOAD_COUNTS": "0",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }
        return variables | ({"HF_TOKEN": token} if token else {})

    def fail(self, kind: str, **rule: Any) -> None:
        """Add a fault (`localhub.faults` documents the fields of a rule)."""
        self._request("POST", "/__faults__", {"rules": [{"kind": kind, **rule}]})

    def faults(self) -> list[dict[str, Any]]:
        """The current faults, each with the number of requests it matched and was applied to."""
        rules: list[dict[str, Any]] = self._request("GET", "/__faults__")["rules"]
        return rules

    def clear_faults(self) -> None:
        """Remove all faults."""
        self._request("DELETE", "/__faults__")

    def requests(self) -> list[dict[str, Any]]:
        """The requests so far, oldest first (`localhub.request_log` documents the fields)."""
        rows: list[dict[str, Any]] = self._request("GET", "/__requests__")
        return rows

    def clear_requests(self) -> None:
        """Clear the log of requests."""
        self._request("DELETE", "/__requests__")

    def _request(self, method: str, path: str, sent: Any = None) -> Any:
        connection = http.client.HTTPConnection(urlsplit(self.endpoint).netloc, timeout=ANSWER_SECONDS)
        with contextlib.closing(connection):
            headers = {"Authorization": f"Bearer {self._secret}", "Content-Type": "application/json"}
            connection.request(method, path, None if sent is None else json.dumps(sent), headers)
            answer = connection.getresponse()
            value = json.load(answer)
        if answer.status != http.HTTPStatus.OK:
            raise CommunityForensicsError(f"{method} {path}: {value['error']}")
        return value


def _cf_hub(arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start `cf-hub`, in a session of its own: Ctrl-C stops only this process, which then stops the server."""
    command = [sys.executable, "-m", "localhub.cli", *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, start_new_session=True)
