"""`cf-status --json` has the form that its schema says, and the schema says all of it."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer
from typer.testing import CliRunner

from crawler.reasons import Reason
from samplers.outcomes import write_outcome
from samplers.status.cli import status as command
from samplers.status.failure import Failure
from samplers.status.json_form import as_json, schema_text
from samplers.status.rounds import RoundStatus, rounds_of
from samplers.status.run import RunStatus, Watcher
from samplers.status.shard_status import ShardStatus, Time
from tests.samplers.inputs import write_catalog
from tests.samplers.status.test_generators import NOW, entries, log, outcome
from workspace.layout import Workspace

SCHEMA: dict[str, Any] = json.loads(schema_text())


@pytest.fixture
def status(tmp_path: Path) -> RunStatus:
    workspace = Workspace.open(tmp_path / "workspace")
    write_catalog(workspace, entries(3))
    write_outcome(workspace, outcome(entries(3)[0], "incompatible", reason=Reason.VIDEO, detail="it makes videos"))
    workspace.outcome_of(entries(3)[1].generator).write_text("{")
    log(workspace, "2/3", NOW)
    return dataclasses.replace(Watcher(workspace).look(NOW), rounds=rounds_of(workspace))


def test_the_output_is_valid(status: RunStatus) -> None:
    assert status.shards
    assert status.failures
    assert status.damaged
    assert status.not_started
    assert status.rounds
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(json.loads(as_json(status)), SCHEMA, jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    ("record", "schema", "added"),
    [
        (RunStatus, SCHEMA, set[str]()),
        (ShardStatus, SCHEMA["$defs"]["shard"], set[str]()),
        (Failure, SCHEMA["$defs"]["failure"], set[str]()),
        (RoundStatus, SCHEMA["$defs"]["round"], set[str]()),
        (Time, SCHEMA["$defs"]["time"], {"duty"}),
    ],
)
def test_the_schema_names_every_field_and_no_other(record: type, schema: dict[str, Any], added: set[str]) -> None:
    fields = {field.name for field in dataclasses.fields(record)} | added
    assert set(schema["properties"]) == set(schema["required"]) == fields
    assert schema["additionalProperties"] is False
    for name, described in schema["properties"].items():
        assert "description" in described or "$ref" in described or "items" in described, name


def test_another_state_or_a_missing_field_is_not_valid(status: RunStatus) -> None:
    for change in ({"state": "resting"}, {"heard": -1.0}, {"images": None}):
        values = json.loads(as_json(status))
        values["shards"][0] |= change
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(values, SCHEMA)
    values = json.loads(as_json(status))
    del values["failures"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(values, SCHEMA)


def test_the_command_prints_the_schema_without_a_workspace() -> None:
    app = typer.Typer()
    app.command()(command)
    ended = CliRunner().invoke(app, ["--json-schema", "--workspace", "/nowhere"])
    assert (ended.exit_code, json.loads(ended.stdout)) == (0, SCHEMA)
