"""`cf-sample --remote` on the command line: which options go together, and what it would cost."""

import json
from pathlib import Path
from typing import Any

import pytest
import tomli_w
import typer
from typer.testing import CliRunner

from samplers.cli import sample
from tests.samplers.inputs import PROMPTS, write_prompts
from tests.samplers.provider.server import KEY, Provider
from workspace.command_line import Command
from workspace.errors import UsageError
from workspace.layout import Workspace


@pytest.fixture
def cli(provider: Provider, tmp_path: Path) -> Any:
    """Calls the command with the TOML file of a model; returns its output."""
    recipe = tmp_path / "painter.toml"
    remote = {"provider": "openai", "model": "m", "endpoint": provider.endpoint, "key": "TEST_KEY", "price": 0.04}
    table = {"kind": "remote", "subset": "Commercial", "architecture": "Commercial", "task": "text-to-image"}
    recipe.write_text(tomli_w.dumps({"acme/painter": {**table, "remote": remote}}))
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command(cls=Command)(sample)

    def call(*arguments: str, remote: bool = True) -> str:
        chosen = ["--remote", str(recipe)] if remote else []
        result = CliRunner().invoke(
            app, ["--workspace", str(tmp_path / "w"), *chosen, *arguments], env={"COLUMNS": "120"}
        )
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.output

    return call


def test_a_dry_run_says_the_price_and_writes_and_asks_nothing(
    provider: Provider, cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TEST_KEY")
    output = cli("--dry-run", "--max-cost", "1", "--images", "100")
    assert "acme/painter" in output
    assert "$0.04" in output
    assert "$4.00" in output  # a hundred images
    assert "25" in output  # within the limit
    assert "the variable TEST_KEY must have the provider's key" in output
    assert not provider.requested
    assert not [path for path in (tmp_path / "w").rglob("*") if path.is_file()]


def test_a_dry_run_in_json_has_the_same_numbers(provider: Provider, cli: Any, tmp_path: Path) -> None:
    write_prompts(Workspace.open(tmp_path / "w"), PROMPTS)
    (one,) = json.loads(cli("--dry-run", "--json", "--max-images", "7", "--images", "10"))["generators"]
    assert (one["generator"], one["images"], one["tries"], one["allowed"]) == ("acme/painter", 10, 20, 7)
    assert one["cost"] == pytest.approx(0.4)
    assert one["has_key"]
    assert one["spent"] == {"images": 0, "dollars": 0, "uncertain": 0}
    assert KEY not in json.dumps(one)


@pytest.mark.parametrize(
    ("arguments", "remote", "words"),
    [
        (["--max-images", "1", "--shard", "1/2"], True, "leave out --shard"),
        (["--max-images", "1", "--only", "a/b"], True, "leave out --only"),
        (["--max-images", "1", "--json"], True, "--json is for --dry-run"),
        (["--max-images", "1"], False, "--max-images is for --remote: add it"),
        (["--requests", "2"], False, "--requests is for --remote: add it"),
        (["--dry-run"], True, "say what may be paid for"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    provider: Provider, cli: Any, arguments: list[str], remote: bool, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        cli(*arguments, remote=remote)


def test_a_model_without_a_price_needs_a_limit_of_images(provider: Provider, cli: Any) -> None:
    with pytest.raises(UsageError, match="--max-cost needs the price of an image of openai/x"):
        cli("--remote", "openai/x", "--max-cost", "3", "--dry-run", remote=False)
    assert "unknown" in cli("--remote", "openai/x", "--max-images", "3", "--dry-run", remote=False)


def test_ordinary_sampling_leaves_remote_generators_to_their_providers(cli: Any, tmp_path: Path) -> None:
    from samplers.provider.options import RemoteOptions
    from samplers.provider.owed import added
    from samplers.provider.recipes import find_generators

    workspace = Workspace.open(tmp_path / "w")
    write_prompts(workspace, PROMPTS)
    from samplers.options import SampleOptions

    options = SampleOptions(safety_checker="a/b@" + "0" * 40)
    assert RemoteOptions(remote=("x",))
    added(workspace, find_generators([str(tmp_path / "painter.toml")]), options)
    with pytest.raises(UsageError, match="its provider samples it: use --remote"):
        cli("--only", "acme/painter", "--dry-run", remote=False)
