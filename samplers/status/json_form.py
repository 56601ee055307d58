"""The status as JSON, in the form that `status.schema.json` describes."""

import dataclasses
import json
from importlib import resources
from typing import Any

from samplers.status.run import RunStatus


def schema_text() -> str:
    """The JSON Schema of what `as_json` gives."""
    return resources.files("samplers.status").joinpath("status.schema.json").read_text(encoding="utf-8")


def plain(status: RunStatus) -> dict[str, Any]:
    """The fields of `RunStatus`, times in seconds, `duty` with every `time`."""
    values = dataclasses.asdict(status)
    values["time"]["duty"] = status.time.duty
    for shard, of_shard in zip(status.shards, values["shards"], strict=True):
        of_shard["time"]["duty"] = shard.time.duty
    return values


def as_json(status: RunStatus) -> str:
    """One line of JSON."""
    return json.dumps(plain(status))
