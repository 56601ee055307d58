import inspect
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest

from crawler import cli
from crawler.options import KINDS, CrawlOptions
from workspace.errors import UsageError
from workspace.layout import Workspace

# Options that the command line takes from the environment, and arguments that are not options of a crawl.
REPEATED = ("include", "exclude", "license_allow", "license_deny", "architecture")
FROM_ENVIRONMENT, NOT_OPTIONS = {"endpoint", "token"}, {"workspace", "explain"}


def test_every_default_of_the_command_line_is_that_of_the_options() -> None:
    parameters = inspect.signature(cli.crawl).parameters
    defaults = {name: parameter.default for name, parameter in parameters.items() if name not in NOT_OPTIONS}
    defaults["kinds"] = tuple(defaults["kinds"].split(","))
    # A list cannot be a default; None stands for the default of the options.
    defaults |= {name: defaults[name] or () for name in REPEATED}
    options = {field.name: field.default for field in fields(CrawlOptions) if field.name not in FROM_ENVIRONMENT}
    assert MISSING not in options.values()
    assert defaults == options


class _PassedError(Exception):
    """Raised in the place of crawling, with the options that the command passed."""


def test_the_command_line_passes_every_choice_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crawl(_: Workspace, options: CrawlOptions) -> None:
        raise _PassedError(options)

    monkeypatch.setattr("crawler.crawl.crawl", crawl)
    repeated: dict[str, Any] = {name: [f"{name}-1", f"{name}-2"] for name in REPEATED}
    with pytest.raises(_PassedError) as passed:
        cli.crawl(workspace=tmp_path, max_size="3GB", **repeated)
    assert passed.value.args == (
        CrawlOptions(max_size="3GB", **{name: tuple(texts) for name, texts in repeated.items()}),
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kinds": ("checkpoint", "gan")}, "--kinds: 'gan' is not one of checkpoint, lora, textual-inversion"),
        ({"kinds": ()}, "--kinds: name at least one of checkpoint"),
        ({"limit": 0}, "--limit must be at least 1"),
        ({"min_downloads": -1}, "--min-downloads must be at least 0"),
        ({"max_size": "big"}, "--max-size 'big' is not a size, such as 500MB"),
        ({"workers": 0}, "--workers must be 1 to 64"),
        ({"workers": 65}, "--workers must be 1 to 64"),
    ],
)
def test_an_invalid_value_is_a_usage_error(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        CrawlOptions(**changes)


def test_the_limits_of_the_ranges_are_valid() -> None:
    assert CrawlOptions(limit=1, min_downloads=0, workers=1).workers == 1
    assert CrawlOptions(workers=64, from_file=Path("names.csv")).workers == 64


def test_kinds_have_one_order() -> None:
    assert CrawlOptions(kinds=("textual-inversion", "checkpoint", "checkpoint")).kinds == (KINDS[0], KINDS[2])


def test_a_token_is_not_shown() -> None:
    assert "hf_secret" not in repr(CrawlOptions(token="hf_secret"))
    assert CrawlOptions(endpoint="http://hub", token="hf_secret").hub.token == "hf_secret"
