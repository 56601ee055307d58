"""captioning/options.py: one place for defaults, and every option reaches the stage."""

import dataclasses
import inspect
from pathlib import Path
from typing import Any

import pytest

from captioning import cli
from captioning.options import CaptionOptions
from demo.zoo.captioner import REPOSITORY
from tests.captioning.runs import run
from workspace import recipe
from workspace.errors import UsageError
from workspace.layout import Workspace

#: Options of the Python interface that the command line takes from the environment (HF_ENDPOINT, HF_TOKEN).
FROM_ENVIRONMENT = {"endpoint", "token"}


def test_the_defaults_of_the_command_line_are_those_of_the_options() -> None:
    parameters = inspect.signature(cli._caption).parameters
    ours = {field.name: field.default for field in dataclasses.fields(CaptionOptions)}
    theirs = {name: parameter.default for name, parameter in parameters.items()}
    assert theirs.keys() - ours.keys() == {"source", "workspace", "root"}
    assert ours.keys() - theirs.keys() == FROM_ENVIRONMENT | {"roots"}
    assert (theirs.pop("prompts"), ours.pop("prompts")) == (None, ())  # an option that may be repeated
    assert {name: theirs[name] for name in ours.keys() & theirs.keys()} == {
        name: default for name, default in ours.items() if name not in FROM_ENVIRONMENT | {"roots"}
    }


def test_every_option_of_the_command_line_reaches_the_stage(tmp_path: Path, digits: Path) -> None:
    choices = ["--limit", 7, "--max-per-source", 5, "--copy", "--batch-size", 2, "--part-size", 3, "--shard", "2/2"]
    choices += ["--captioner", REPOSITORY, "--backend", "transformers", "--device", "cpu", "--workers", 1]
    ended = run("--source", f"a={digits}", "--source", f"b={digits}", "--workspace", tmp_path, *choices)
    assert ended.returncode == 0, ended.stderr
    pinned = recipe.read(Workspace(tmp_path))["caption"]
    chosen = {"limit": 7, "max_per_source": 5, "copy": True, "batch_size": 2, "part_size": 3, "backend": "transformers"}
    assert pinned.items() >= chosen.items()
    assert str(pinned["captioner"]).startswith(f"{REPOSITORY.name}@sha256-")
    assert (tmp_path / "logs/caption-2-of-2.jsonl").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": 0}, "--limit must be at least 1"),
        ({"max_per_source": -1}, "--max-per-source must be at least 1"),
        ({"batch_size": 0}, "--batch-size must be at least 1"),
        ({"part_size": 0}, "--part-size must be at least 1"),
        ({"workers": 0}, "--workers must be at least 1"),
        ({"shard": "3/2"}, "--shard '3/2'"),
        ({"prompts": "own.txt"}, "prompts are a sequence of files"),
        ({"backend": "other"}, "--backend 'other' is not one of transformers, lavis"),
    ],
)
def test_invalid_options_are_refused_with_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as refused:
        CaptionOptions(**options)
    assert "\n" not in str(refused.value)


def test_the_token_is_not_shown() -> None:
    options = CaptionOptions(endpoint="http://127.0.0.1:9", token="hf_secret")
    assert "hf_secret" not in repr(options) + repr(options.hub)
    assert (options.hub.endpoint, options.hub.token) == ("http://127.0.0.1:9", "hf_secret")
