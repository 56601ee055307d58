"""A server with the S3 protocol, for tests: moto's, with what a store of objects promises and moto leaves to chance.

moto looks at the condition of a write and then writes, in two steps, and answers several requests at a time. Here each
request is one step. `PUT /_faults` with a JSON list of status codes makes the next requests fail with these;
`PUT /_conditions` with false lets it write without looking at conditions.

    python -m tests.s3_server PORT
"""

import io
import json
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, run_simple

Environment = dict[str, Any]
StartResponse = Callable[..., Any]


class OneAtATime:
    """The application, one request after the other."""

    def __init__(self) -> None:
        self._application = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.Lock()
        self._faults: list[int] = []
        self._conditions = True

    def __call__(self, environ: Environment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request, whose body is read before its turn comes."""
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        with self._lock:
            if environ["PATH_INFO"] in ("/_faults", "/_conditions"):
                setattr(self, environ["PATH_INFO"][1:], json.loads(body))
                start_response("200 OK", [])
                return []
            if not self._conditions and environ["REQUEST_METHOD"] == "PUT":
                environ = {name: value for name, value in environ.items() if not name.endswith("_MATCH")}
            if self._faults:
                start_response(f"{self._faults.pop(0)} Fault", [("Content-Length", "0")])
                return []
            return list(self._application(environ, start_response))


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_request(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    run_simple("127.0.0.1", int(sys.argv[1]), OneAtATime(), threaded=True, request_handler=_Quiet)
