"""The log is one JSON object a line, also with several writers at the same time."""

import json
import threading
from pathlib import Path

from workspace.layout import Workspace
from workspace.progress import Log


def test_events_of_many_writers_are_whole_lines(tmp_path: Path) -> None:
    log = Log(Workspace.open(tmp_path), "sample-1-of-2")

    def write(writer: int) -> None:
        for number in range(50):
            log.event("tick", writer=writer, number=number, path=tmp_path)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = [json.loads(line) for line in log.path.read_text(encoding="utf-8").splitlines()]
    assert {(event["writer"], event["number"]) for event in events} == {(w, n) for w in range(4) for n in range(50)}
    assert all(event["event"] == "tick" and event["path"] == str(tmp_path) and event["time"] for event in events)
