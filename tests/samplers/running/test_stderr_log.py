"""What the sampling process of a failed generator printed is kept, bounded and printable, until it succeeds."""

from pathlib import Path

import pytest

from samplers.outcomes import Outcome, read_outcome, write_outcome
from samplers.running.stderr_log import FIRST, LAST, keep_stderr
from workspace.layout import Workspace

NAME = "org/name"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "workspace")


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "stderr.txt"


def test_a_long_output_is_kept_with_its_beginning_and_its_end(workspace: Workspace, output: Path) -> None:
    output.write_bytes(b"first line\n" + b"x" * 5_000_000 + b"\nlast line\n")
    log = keep_stderr(workspace, NAME, output)
    assert log == "logs/stderr/org--name.txt"
    text = (workspace.root / log).read_text()
    assert len(text) < FIRST + LAST + 100
    assert text.startswith("first line\n")
    assert text.endswith("\nlast line\n")
    assert f"[... {5_000_022 - FIRST - LAST} bytes ...]" in text


@pytest.mark.attack
def test_no_control_sequence_and_no_token_reaches_the_log(workspace: Workspace, output: Path) -> None:
    token = "hf_" + "Q" * 34
    output.write_bytes(b"\x1b]0;renamed\x07\x1b[2J\xff\xfe " + f"Bearer {token}\n".encode())
    log = keep_stderr(workspace, NAME, output)
    assert log is not None
    content = (workspace.root / log).read_bytes()
    assert b"\x1b" not in content
    assert b"\x07" not in content
    assert token.encode() not in content
    assert "Bearer hf_..." in content.decode()


def test_nothing_printed_is_no_log(workspace: Workspace, output: Path) -> None:
    assert keep_stderr(workspace, NAME, output) is None
    output.write_text(" \n")
    assert keep_stderr(workspace, NAME, output) is None
    assert not workspace.stderr_of(NAME).exists()


def test_the_log_is_removed_when_the_generator_succeeds_or_fails_without_one(
    workspace: Workspace, output: Path
) -> None:
    output.write_text("Traceback\n")
    for status in ("done", "fetch-failed"):
        log = keep_stderr(workspace, NAME, output)
        failed = Outcome(model_name=NAME, revision="0" * 40, status="crashed", log=log)
        write_outcome(workspace, failed)
        assert workspace.stderr_of(NAME).read_text() == "Traceback\n"
        assert read_outcome(workspace, NAME) == failed
        write_outcome(workspace, Outcome(model_name=NAME, revision="0" * 40, status=status))  # type: ignore[arg-type]
        assert not workspace.stderr_of(NAME).exists()
