"""The log is one JSON object a line, also with several writers; progress is a bar, or a line now and then."""

import json
import threading
import time
from pathlib import Path

import pytest

from workspace import progress
from workspace.layout import Workspace
from workspace.printable import printable
from workspace.progress import Log, task


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


@pytest.mark.attack
@pytest.mark.parametrize("text", ["\ud800", "a\nb", "\u2028", "\x9b31m", "\x1b[2J"])
def test_any_text_is_one_line_of_the_log(text: str, tmp_path: Path) -> None:
    log = Log(Workspace.open(tmp_path), "crawl")
    log.event("model", name=text, **{text: text})
    (line,) = log.path.read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["event"] == "model"
    assert printable(line) == line


def test_without_a_terminal_progress_is_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with task("sampling", 3) as shown:
        shown.advance(note="too early")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(progress, "PLAIN_INTERVAL", 0.0)
    with task("sampling", 3) as shown:
        shown.advance(2, "org/[name]")
        shown.advance()
    with task("listing") as shown:
        shown.advance(5)
    assert capsys.readouterr().err == "sampling: 2/3 org/[name]\nsampling: 3/3\nlisting: 5\n"
    monkeypatch.setattr(progress, "PLAIN_INTERVAL", 0.2)
    with task("sampling") as shown:
        for _ in range(2):
            time.sleep(0.25)
            shown.advance()
            shown.advance()
    assert capsys.readouterr().err == "sampling: 1\nsampling: 3\n"


def test_on_a_terminal_progress_is_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with task("sampling", 3) as shown:
        shown.advance(2, "org/[name]")
    written = capsys.readouterr().err
    assert "sampling" in written
    assert "2/3" in written
    assert "org/[name]" in written
    assert written.endswith("\x1b[2K"), "the bar is removed at the end"
