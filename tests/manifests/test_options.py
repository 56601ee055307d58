"""The options classes are the one place of defaults: the command lines take theirs from them."""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any, get_args, get_type_hints

import pytest

from manifests import cli
from manifests.choices import Choices
from manifests.options import BuildOptions, Edition, LayoutName, PublishOptions
from workspace.errors import UsageError

#: Parameters of the Python interface that the command lines take from the environment.
OF_THE_HUB = {"endpoint", "token"}
#: The fields that the values of `--verify` are read into.
VERIFIED = {"verify", "reproduce", "reproduce_seed"}


@pytest.mark.parametrize(
    ("command", "options", "others"),
    [
        (cli._build_manifest, BuildOptions, {"context", "workspace", "restore", "verify"}),
        (cli._publish, PublishOptions, {"repository", "workspace"}),
    ],
)
def test_every_default_of_a_command_line_is_that_of_its_options(
    command: Callable[..., None], options: Any, others: set[str]
) -> None:
    parameters = inspect.signature(command).parameters
    fields = {field.name: field.default for field in dataclasses.fields(options) if field.name not in VERIFIED}
    assert parameters.keys() - others == fields.keys() - OF_THE_HUB
    # A command line gives None for an option that may be repeated and was not given.
    defaults = {name: parameters[name].default for name in fields.keys() - OF_THE_HUB}
    assert defaults == {name: None if fields[name] == () else fields[name] for name in defaults}


@pytest.mark.parametrize(
    ("command", "parameter", "values"),
    [
        (cli._build_manifest, "edition", Edition),
        (cli._publish, "layout", LayoutName),
    ],
)
def test_a_command_line_takes_the_values_of_its_options(
    command: Callable[..., None], parameter: str, values: object
) -> None:
    assert get_args(get_type_hints(command)[parameter]) == get_args(values)


@pytest.mark.parametrize(
    ("options", "values", "message"),
    [
        (BuildOptions, {"verify": "some"}, "--verify 'some' is not one of quick, full"),
        (BuildOptions, {"reproduce": -1}, "--verify reproduce=-1: must be a number of rows"),
        (BuildOptions, {"edition": "private"}, "--edition 'private' is not one of full, public"),
        (BuildOptions, {"license_allow": ("mit",)}, "add --edition public"),
        (BuildOptions, {"edition": "public", "license_allow": ("family=free",)}, "the families are open"),
        (BuildOptions, {"holdout": ("colour=red",)}, "--holdout colour=red"),
        (PublishOptions, {"layout": "parquet"}, "--layout 'parquet' is not one of viewer, community-forensics"),
        (PublishOptions, {"max_shard_size": "much"}, "--max-shard-size 'much'"),
        (PublishOptions, {"max_staging": "400MB"}, "--max-staging must hold one shard"),
    ],
)
def test_values_that_make_no_sense_are_refused_before_anything_is_done(
    options: Any, values: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        options(**values)


def test_sizes_are_numbers_of_bytes_or_texts() -> None:
    assert PublishOptions().shard_bytes == 500 * 10**6
    options = PublishOptions(max_shard_size=1000, max_staging="1KB")
    assert (options.shard_bytes, options.staging_bytes) == (1000, 1000)


def test_a_token_is_not_shown() -> None:
    assert "hf_secret" not in repr([BuildOptions(token="hf_secret"), PublishOptions(token="hf_secret")])


def test_the_choices_of_a_manifest_have_one_normal_form() -> None:
    options = BuildOptions(edition="public", license_allow=("MIT , none",), holdout=("name=a/b", "name=a/b"))
    assert Choices.of(options) == Choices("public", ("mit", "none"), ("name=a/b",))
    assert Choices.of(BuildOptions()) == Choices("full", (), ())
    assert Choices.of(BuildOptions(edition="public")).license_allow == ("family=open", "family=openrail")
