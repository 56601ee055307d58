"""A provider of images on loopback that behaves as real ones do, and counts what it would charge for.

It speaks OpenAI's images API, and what InferenceClient sends to hf-inference, fal-ai, replicate and together. An image
is charged when it is made: before the answer is sent, whether or not that arrives.
"""

import base64
import io
import json
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
from PIL import Image

KEY = "sk-cf-0123456789abcdefSECRET"
Fault = Callable[["Handler", str], None]


@dataclass
class Provider:
    """What the server does and has seen."""

    faults: deque[Fault] = field(default_factory=deque)
    """What happens to the next requests for images, in place of an image."""
    delivery: str = "base64"
    """base64 | url | moved-url | other-url"""
    image_format: str = "PNG"
    seconds: float = 0.0
    """That an image takes to make."""
    charged: Counter[str] = field(default_factory=Counter)
    """Images made, by prompt."""
    requested: Counter[str] = field(default_factory=Counter)
    """Requests for images, by prompt."""
    times: list[float] = field(default_factory=list)
    """When they came."""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    downloads: list[dict[str, str]] = field(default_factory=list)
    """Headers of the requests for delivered addresses."""
    download_faults: deque[int] = field(default_factory=deque)
    """Statuses of the next downloads."""
    alternates: bool = False
    """Whether every second image is in the answer, whatever `delivery` says."""
    asked_at: dict[str, float] = field(default_factory=dict)
    answered_at: dict[str, float] = field(default_factory=dict)
    """When the last request for a prompt came, and when its answer was sent."""
    other_url: str = ""
    make: Callable[[str, str], bytes] = field(default_factory=lambda: picture)
    """Makes the file of a prompt in a format."""
    at_once: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    port: int = 0

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def endpoint(self) -> str:
        """Of OpenAI's API."""
        return f"{self.origin}/v1"


def picture(prompt: str, image_format: str = "PNG") -> bytes:
    """An image that depends on the prompt."""
    noise = np.random.default_rng(list(prompt.encode())).integers(0, 255, (48, 64, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).resize((128, 96)).save(file, image_format)
    return file.getvalue()


@contextmanager
def running(provider: Provider) -> Iterator[Provider]:
    """The provider, running."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Clients that are killed are no news."""

    handler = type("Own", (Handler,), {"provider": provider})
    server = Server(("127.0.0.1", 0), handler)
    provider.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()


class Handler(BaseHTTPRequestHandler):
    """One request."""

    provider: Provider
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Nothing is printed."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = body.get("prompt") or body.get("inputs") or body["input"]["prompt"]
        provider = self.provider
        with provider.lock:
            provider.requested[prompt] += 1
            provider.times.append(time.monotonic())
            provider.asked_at[prompt] = time.monotonic()
            provider.bodies.append({**body, "path": self.path, "headers": dict(self.headers)})
            fault = provider.faults.popleft() if provider.faults else None
            provider.at_once += 1
            provider.most_at_once = max(provider.most_at_once, provider.at_once)
        try:
            if self.headers.get("Authorization", "").partition(" ")[2] not in (KEY, f"hf_{KEY}"):
                given = self.headers.get("Authorization", "")
                self.error(401, {"message": f"Incorrect API key provided: {given}.", "code": "invalid_api_key"})
            elif fault is not None:
                fault(self, prompt)
            else:
                self.deliver(prompt)
            provider.answered_at[prompt] = time.monotonic()
        finally:
            with provider.lock:
                provider.at_once -= 1

    def do_GET(self) -> None:
        provider = self.provider
        provider.downloads.append(dict(self.headers))
        status = provider.download_faults.popleft() if provider.download_faults else 200
        if self.path.startswith("/moved/"):
            self.answer(302, b"", {"Location": self.path.replace("/moved/", "/files/")})
        elif status != 200:
            self.answer(status, b"")
        else:
            prompt = base64.urlsafe_b64decode(self.path.rpartition("/")[2]).decode()
            self.answer(200, provider.make(prompt, provider.image_format), {"Content-Type": "image/png"})

    def charge(self, prompt: str) -> bytes:
        """Make an image, which is charged then."""
        time.sleep(self.provider.seconds)
        with self.provider.lock:
            self.provider.charged[prompt] += 1
        return self.provider.make(prompt, self.provider.image_format)

    def deliver(self, prompt: str) -> None:
        """The answer with an image."""
        content = self.charge(prompt)
        encoded = base64.b64encode(content).decode()
        name = base64.urlsafe_b64encode(prompt.encode()).decode()
        folder = {"moved-url": "moved"}.get(self.provider.delivery, "files")
        url = self.provider.other_url or f"{self.provider.origin}/{folder}/{name}"
        if self.path.startswith("/hf-inference/"):
            self.answer(200, content, {"Content-Type": "image/png"})
        elif self.path.startswith("/fal-ai/"):
            self.json(200, {"images": [{"url": url}]})
        elif self.path.startswith("/replicate/"):
            self.json(200, {"output": [url]})
        elif (
            self.provider.delivery == "base64"
            or self.path.startswith("/together/")
            or (self.provider.alternates and len(self.provider.charged) % 2)
        ):
            revised = f"A picture of {prompt}"
            self.json(200, {"created": 1, "data": [{"b64_json": encoded, "revised_prompt": revised}]})
        else:
            self.json(200, {"created": 1, "data": [{"url": url}]})

    def error(self, status: int, error: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        """An error as OpenAI words it."""
        self.json(status, {"error": {"type": "invalid_request_error", "param": None, **error}}, headers)

    def json(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        self.answer(status, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def busy(retry_after: str | None = "0") -> Fault:
    """Too many requests."""

    def fault(handler: Handler, _: str) -> None:
        headers = {} if retry_after is None else {"Retry-After": retry_after}
        handler.error(429, {"message": "Rate limit reached", "code": "rate_limit_exceeded"}, headers)

    return fault


def no_credit(handler: Handler, _: str) -> None:
    """Payment required."""
    handler.error(402, {"message": "You have exceeded your monthly included credits"})


def no_quota(handler: Handler, _: str) -> None:
    """OpenAI's 429 that no wait helps against."""
    handler.error(429, {"message": "You exceeded your current quota", "code": "insufficient_quota"})


def failing(status: int) -> Fault:
    """A status of a server, with a page that is no JSON."""

    def fault(handler: Handler, _: str) -> None:
        handler.answer(status, b"<html>sorry</html>", {"Content-Type": "text/html", "Retry-After": "0"})

    return fault


def refusal(handler: Handler, _: str) -> None:
    """The prompt is not allowed."""
    text = "Your request was rejected as a result of our safety system."
    handler.error(400, {"message": text, "code": "content_policy_violation"})


def bad_request(handler: Handler, _: str) -> None:
    """A parameter, or a prompt, that the model does not take."""
    handler.error(400, {"message": "The prompt is too long", "code": "string_above_max_length"})


def truncated(handler: Handler, prompt: str) -> None:
    """Half of an answer, with an image that is charged."""
    body = json.dumps({"data": [{"b64_json": base64.b64encode(handler.charge(prompt)).decode()}]}).encode()
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body[: len(body) // 2])
    handler.close_connection = True


def hung_up(handler: Handler, prompt: str) -> None:
    """The connection ends after the image was made."""
    handler.charge(prompt)
    handler.close_connection = True


def gateway(handler: Handler, prompt: str) -> None:
    """A gateway gives up while the image is made."""
    handler.charge(prompt)
    handler.answer(504, b"<html>gateway time-out</html>")


def moved(handler: Handler, _: str) -> None:
    """The API is at another address."""
    handler.answer(308, b"", {"Location": "http://127.0.0.2:9/v1/images/generations"})


def no_image(handler: Handler, prompt: str) -> None:
    """A success without an image."""
    handler.charge(prompt)
    handler.json(200, {"created": 1, "data": []})
