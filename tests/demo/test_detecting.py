"""The last stage of `make demo`: its commands exist, and it says what its numbers do not prove."""

import importlib

import pytest
from typer.testing import CliRunner

from demo.detecting import COMMANDS, statement
from detectors.studies.curves import StudyValue
from tests.detectors.studies.test_curves import value
from workspace import command_line, records
from workspace.atomic import write_bytes
from workspace.layout import Workspace


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: "-".join(words[1:3]))
def test_every_option_of_its_commands_exists(words: tuple[str, ...]) -> None:
    app = command_line.command_group("test")
    importlib.import_module(f"detectors.commands.{words[1]}").register(app)
    app.callback()(lambda: None)
    shown = CliRunner().invoke(app, [words[1], "--help"], env={"COLUMNS": "300"})
    assert shown.exit_code == 0, shown.output
    assert {word for word in words if word.startswith("--")} <= set(shown.output.replace("│", " ").split())


def test_it_says_what_was_found_and_what_the_zoo_cannot_prove(tmp_path) -> None:
    workspace = Workspace.open(tmp_path)
    folder = workspace.detect / "studies" / "generators-0"
    write_bytes(folder / "study.toml", b'study = "generators"\n')
    records.write(folder / "values" / "0.parquet", StudyValue, [value(1, 0, 0.5), value(10, 0, 1.0)])
    lines = list(statement(workspace))
    assert lines[0] == "tiny, by the number of training generators: 0.50 with 1, 1.00 with 10"
    assert any("It does not show that detectors find unseen generators" in line for line in lines)
