"""One place of defaults: the command line takes them from the options, and passes every option on."""

import inspect
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import typer

from samplers import cli
from samplers.assignment.pending import find_pending
from samplers.options import RemakeOptions, SampleOptions
from tests.samplers.campaign import entry
from tests.samplers.inputs import PROMPTS, write_catalog, write_prompts
from workspace.errors import UsageError
from workspace.hub_access import HubAccess
from workspace.layout import Workspace
from workspace.recipe import pin, read

#: The command's own parameters, fields that it reads from the environment, and one field of another name.
OWN = {
    "context",
    "workspace",
    "dry_run",
    "device_speed",
    "calibrate",
    "as_json",
    "remake",
    "into",
    # Of `RemoteOptions`.
    "remote",
    "max_images",
    "max_cost",
    "requests",
    "repeat_unanswered",
}
FROM_ENVIRONMENT, FIELDS = {"endpoint", "token"}, {"source_weight": "source_weights"}


def _parameters() -> dict[str, inspect.Parameter]:
    """The command's parameters by the name of their field."""
    parameters = inspect.signature(cli.sample).parameters
    return {FIELDS.get(name, name): value for name, value in parameters.items() if name not in OWN}


#: Options that may be given several times.
CHOICE = {"exclude", "license_allow", "license_deny", "architecture"}
REPEATED = {"only", "source_weights", "holdout", "validation", *CHOICE}


def test_every_default_of_the_command_line_is_that_of_the_options() -> None:
    options = SampleOptions()
    parameters = _parameters()
    assert parameters.keys() == {field.name for field in fields(SampleOptions)} - FROM_ENVIRONMENT
    for name, parameter in parameters.items():
        expected = getattr(options, name)
        # An option that may be repeated has no default but none.
        assert parameter.default == (None if name in REPEATED else expected), name
    assert (options.only, options.source_weights) == ((), {})


def _context() -> typer.Context:
    """That of a command line without options."""
    app = typer.Typer()
    app.command()(cli.sample)
    return typer.Context(typer.main.get_command(app))


class _PassedError(Exception):
    """Raised in the place of sampling, with the options that the command passed."""


def test_the_command_line_passes_every_option_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def sample(_: Workspace, options: SampleOptions) -> None:
        raise _PassedError(options)

    monkeypatch.setattr("samplers.stage.sample", sample)
    values: dict[str, Any] = {
        "images": 7,
        "batch_size": 3,
        "max_tries": 9,
        "steps": 5,
        "engine": "ray",
        "address": "10.0.0.5:6379",
        "processes": 3,
        "width": 320,
        "height": 192,
        "guidance_scale": 3.0,
        "negative_prompt": "a blur",
        "scheduler": "DDIMScheduler",
        "settings": tmp_path / "settings.toml",
        "seed": 11,
        "safety_checker": f"org/checker@{'ab' * 20}",
        "images_per_prompt": 2,
        "evaluation_prompts": 0.25,
        "store": "parquet",
        "allow_pickle": True,
        "shard": "2/3",
        "limit": 13,
        "device": "cuda:1",
        "weights_dir": tmp_path / "weights",
        "max_disk": "3GB",
        "timeout": 17.0,
        "max_memory": 19.0,
        "retry_failed": True,
        "fail_above": "5%",
        "update": True,
        "verify": "full",
        "offline": True,
        "wait": 23.0,
        "help_others": False,
    }
    values["settings"].write_text('["org/*"]\nimages = 3\n')
    values["max_size"] = "20GB"
    chosen = {name: ["org/*", "mit"] for name in CHOICE}
    held = {"holdout": ["name=org/a"], "validation": ["name=org/b", "architecture=GAN"]}
    context = _context()
    with pytest.raises(_PassedError) as passed:
        cli.sample(
            context,
            workspace=tmp_path,
            source_weight=["coco=2"],
            only=["org/a", "org/b"],
            **held,
            **chosen,
            **values,
        )
    expected = SampleOptions(
        **values,
        only=("org/a", "org/b"),
        **{name: tuple(texts) for name, texts in chosen.items()},
        source_weights={"coco": 2.0},
        holdout=("name=org/a",),
        validation=("name=org/b", "architecture=GAN"),
    )
    assert passed.value.args == (expected,)
    same = {name for name in _parameters() if getattr(expected, name) == getattr(SampleOptions(), name)}
    # It does not go with --device: see below.
    assert same <= {"devices"}


@pytest.mark.parametrize(
    ("options", "batch", "tries"),
    [
        (SampleOptions(), 8, 800),
        (SampleOptions(images=2), 2, 4),
        (SampleOptions(images=9), 8, 18),
        (SampleOptions(images=2, batch_size=5), 5, 4),
        (SampleOptions(images=9, batch_size=1, max_tries=9), 1, 9),
    ],
)
def test_batch_and_tries_follow_the_number_of_images(options: SampleOptions, batch: int, tries: int) -> None:
    assert (options.images_a_batch, options.tries) == (batch, tries)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"images": 0}, "--images must be at least 1"),
        ({"batch_size": 0}, "--batch-size must be at least 1"),
        ({"max_tries": 0}, "--max-tries must be at least 1"),
        ({"steps": -1}, "--steps -1: must be a whole number, at least 1"),
        ({"width": 0}, "--width 0: must be a whole number from 1 to 16,384"),
        ({"height": 512.0}, "--height 512.0: must be a whole number"),
        ({"guidance_scale": float("nan")}, "--guidance-scale nan: must be a number from 0 to 1000"),
        ({"negative_prompt": "x" * 5001}, "--negative-prompt x+: must be a text of at most 5,000 characters"),
        ({"scheduler": "DDIM"}, "--scheduler DDIM: the installed diffusers has no .*; did you mean DDIMScheduler"),
        ({"settings": {"org/a": {"step": 3}}}, r'settings: \["org/a"\] step: there is no such .*did you mean steps'),
        ({"limit": 0}, "--limit must be at least 1"),
        ({"timeout": 0.5}, "--timeout must be at least 1"),
        ({"images": 4, "max_tries": 3}, "--max-tries 3 is less than --images 4: make it at least as many"),
        ({"images_per_prompt": 0}, "--images-per-prompt must be at least 1"),
        ({"evaluation_prompts": 0.1}, "--evaluation-prompts 0.1 reserves prompts for generators that are held out: na"),
        ({"evaluation_prompts": 1, "holdout": ("name=a/b",)}, "--evaluation-prompts 1: must be a share such as 0.1"),
        ({"evaluation_prompts": -0.1, "validation": ("name=a/b",)}, "--evaluation-prompts -0.1: must be a share"),
        ({"evaluation_prompts": float("nan"), "holdout": ("name=a/b",)}, "--evaluation-prompts nan: must be a share"),
        (
            {"evaluation_prompts": 0.5, "holdout": ("name=a/b",), "validation": ("name=c/d",)},
            "--evaluation-prompts 0.5: test and validation have this share each, and leave no prompt for training",
        ),
        ({"holdout": ("colour=red",)}, "--holdout colour=red: must be name="),
        ({"validation": ("after=soon",)}, "--validation after=soon: 'soon' is not a date"),
        ({"store": "zip"}, "--store 'zip' is not one of auto, files, parquet"),
        ({"shard": "0/4"}, "--shard '0/4'"),
        ({"max_disk": "much"}, "--max-disk 'much' is not a size"),
        ({"max_memory": -1}, "--max-memory must be 0"),
        ({"fail_above": "5"}, "--fail-above '5' is not a share"),
        ({"source_weights": {"coco": -1}}, "--source-weight coco=-1"),
        ({"source_weights": {"coco": float("nan")}}, "--source-weight coco=nan"),
        ({"source_weights": {"coco": float("inf")}}, "--source-weight coco=inf"),
    ],
)
def test_values_that_make_no_sense_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        SampleOptions(**values)


def test_limits_are_in_bytes_and_zero_is_no_limit() -> None:
    options = SampleOptions(max_disk="1.5GB", max_memory=2.5)
    assert (options.disk_bytes, options.memory_bytes) == (1_500_000_000, 2_500_000_000)
    assert (replace(options, max_disk=7).disk_bytes, replace(options, max_memory=0).memory_bytes) == (7, 0)
    assert (SampleOptions().disk_bytes, SampleOptions().memory_bytes) == (None, None)


def test_endpoint_and_token_are_passed_and_the_token_is_never_shown() -> None:
    options = SampleOptions(endpoint="http://localhost:1", token="hf_secret")
    assert options.hub == HubAccess("http://localhost:1", "hf_secret")
    assert "hf_secret" not in repr(options)


def test_the_recipe_is_the_same_from_python_and_from_the_command_line(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path)
    write_catalog(workspace, [entry()])
    write_prompts(workspace, PROMPTS)
    # The command line reads weights as 2.0; in Python a whole number is usual.
    recipes = [
        find_pending(workspace, SampleOptions(images=3, source_weights={"photos": weight})).recipe.table()
        for weight in (2.0, 2)
    ]
    for recipe in recipes:
        pin(workspace, "sample", recipe)
    assert read(workspace)["sample"] == {
        "images": 3,
        "batch_size": 3,
        "max_tries": 6,
        "seed": 0,
        "safety_checker": SampleOptions.safety_checker,
        "prompts": recipes[0]["prompts"],
        "source_weights": {"digits": 1.0, "photos": 2.0},
        "store": "files",
        "batches_a_part": 8,
        "allow_pickle": False,
        "images_per_prompt": 1,
        "evaluation_prompts": 0.0,
        "seed_bits": 53,
    }


def test_the_options_of_a_remake_are_those_of_sampling_that_change_no_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def remake(_: Workspace, rows: list[str], into: Path, options: RemakeOptions) -> None:
        raise _PassedError(rows, into, options)

    monkeypatch.setattr("samplers.remaking.remake.remake", remake)
    monkeypatch.setattr("sys.argv", ["cf-sample", "--workspace", str(tmp_path), *_REMAKE.split()])
    with pytest.raises(_PassedError) as passed:
        cli.main()
    expected = RemakeOptions(device="cuda:1", weights_dir=Path("w"), max_disk="3GB", timeout=17.0, max_memory=19.0)
    assert passed.value.args == (["a#1", "b#2"], Path("again"), expected)
    names = {field.name for field in fields(RemakeOptions)}
    assert all(getattr(RemakeOptions(), name) == getattr(SampleOptions(), name) for name in names)
    assert all(getattr(expected, name) != getattr(RemakeOptions(), name) for name in names - FROM_ENVIRONMENT)
    with pytest.raises(UsageError, match="--timeout must be at least 1"):
        RemakeOptions(timeout=0)


_REMAKE = (
    "--remake a#1 --remake b#2 --into again --device cuda:1 --weights-dir w --max-disk 3GB --timeout 17 --max-memory 19"
)


def test_the_command_line_passes_the_devices_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def sample(_: Workspace, options: SampleOptions) -> None:
        raise _PassedError(options)

    monkeypatch.setattr("samplers.stage.sample", sample)
    with pytest.raises(_PassedError) as passed:
        cli.sample(_context(), workspace=tmp_path, devices="0,2")
    assert passed.value.args == (SampleOptions(devices="0,2"),)
