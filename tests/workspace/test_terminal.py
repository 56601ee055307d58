import io
import subprocess
import sys
from contextlib import redirect_stdout

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.live import Live
from rich.table import Table

from workspace.printable import printable
from workspace.progress import task
from workspace.terminal import Console, say

ATTACKS = ["\x1b]0;title\x07", "\x1b[2J", "\x9b31m", "\ud800", "\u202e", "[red]", "[/nothing]", ":boom:"]


@pytest.mark.attack
@pytest.mark.parametrize("attack", ATTACKS)
def test_no_text_reaches_the_terminal_as_a_sequence(attack: str, capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    console.print(f"a{attack}b", soft_wrap=True)
    table = Table(f"h{attack}")
    table.add_row(attack)
    console.print(table)
    say(attack)
    say(attack, err=True)
    written = capsys.readouterr()
    assert attack.startswith(("\x1b", "\x9b", "\ud800", "\u202e")) or f"a{attack}b" in written.out
    assert written.err == f"{printable(attack)}\n"
    assert not {"\x1b", "\x07", "\x9b", "\ud800", "\u202e"} & {*written.out, *written.err}


@pytest.mark.attack
def test_a_bar_on_a_terminal_has_only_the_sequences_of_the_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with task("sampling", 3) as bar:
        bar.advance(2, "org/\x1b]0;title\x07name\nsecond line")
    with Live(console=Console(), auto_refresh=False) as live:
        live.update("org/\x1b]0;title\x07name", refresh=True)
    written = capsys.readouterr()
    for text in (written.out, written.err):
        assert "\ufffd]0;title" in text
        assert "\x1b]" not in text
        assert "\x07" not in text


@given(st.text(st.characters() | st.sampled_from("[]\\/\x1b\x9b\ud800:\r\n")))
def test_any_text_is_printed(text: str) -> None:
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding="utf-8", write_through=True)
    with redirect_stdout(stream):
        console = Console()
        console.print(text, soft_wrap=True)
        table = Table(text, box=None)
        table.add_row(text)
        console.print(table)
        say(text)
    assert b"\x1b" not in written.getvalue()


@pytest.mark.attack
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_message_is_printed_whatever_the_encoding_of_the_terminal(encoding: str) -> None:
    code = (
        "from workspace.command_line import run\n"
        "from workspace.errors import UsageError\n"
        "def app(): raise UsageError('caf\\u00e9 \\u732b \\udcff \\x1b[2J')\n"
        "run(app)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env={"PYTHONIOENCODING": encoding, "PATH": ""}, check=False
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith(b"error: caf")
    assert ended.stderr.count(b"\n") == 1
    assert b"\x1b" not in ended.stderr
