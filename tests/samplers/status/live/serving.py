"""Live pages served in this process, asked by HTTP, with paths exactly as the test writes them."""

import http.client
import json
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from samplers.sample import Sample
from samplers.status.live.serve import run
from tests.samplers.storage.making import NAME, png_of, row_of
from workspace import records
from workspace.layout import Workspace, part_name
from workspace.listening import listen


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode()


@dataclass(frozen=True)
class Page:
    address: tuple[str, int]

    @property
    def url(self) -> str:
        return f"http://{self.address[0]}:{self.address[1]}/"

    def get(self, path: str, method: str = "GET", **headers: str) -> Answer:
        connection = http.client.HTTPConnection(*self.address, timeout=20)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.putrequest(method, path, skip_host="Host" in given)
        for name, value in given.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        found = Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        connection.close()
        return found


def page_of(workspace: Workspace, every: float = 0.0) -> Page:
    """A served page, which looks again for each request unless `every` is given; it ends with this process."""
    sock: socket.socket = listen("127.0.0.1", 0)
    threading.Thread(target=run, args=(sock, workspace, every, []), daemon=True).start()
    return Page(sock.getsockname()[:2])


def write_log(workspace: Workspace, shard: str, *generators: str, **stopped: Any) -> None:
    """The log of a shard that began these generators, and stopped with these values where there are any."""
    time = datetime.now(UTC).isoformat()
    about = {"pending": 5, "finished": 0, "skipped": 0, "estimate": 10.0, "shard": shard}
    events: list[dict[str, Any]] = [{"event": "run_started", **about}]
    events += [
        {"event": "generator_started", "model_name": name, "kept": 0, "images": 4, "estimate": 1.0}
        for name in generators
    ]
    events += [{"event": "run_stopped", **stopped}] if stopped else []
    workspace.logs.mkdir(exist_ok=True)
    index, _, count = shard.partition("/")
    lines = [json.dumps({"time": time, **event}) for event in events]
    (workspace.logs / f"sample-{index}-of-{count}.jsonl").write_text("\n".join(lines) + "\n")


def write_images(workspace: Workspace, *indices: int, **changes: Any) -> list[Sample]:
    """A part of rows with their images, of the generator `NAME`."""
    rows = [row_of(index, **changes) for index in indices]
    records.write(workspace.samples_of(NAME) / part_name(0), Sample, rows)
    workspace.images_of(NAME).mkdir(parents=True, exist_ok=True)
    for row in rows:
        if row.image_name is not None:
            image_of(workspace, row).write_bytes(png_of(row.index).content)
    return rows


def image_of(workspace: Workspace, row: Sample) -> Path:
    assert row.image_name is not None
    return workspace.images_of(NAME) / row.image_name
