"""The commands of the documentation exist, with their options. Those of README.md and of the quickstart run in
`tests/examples/test_pages.py`."""

import importlib
import os
import re
import shlex
from functools import cache
from pathlib import Path
from unittest import mock

import pytest

from tests.architecture.test_command_lines import SCRIPTS
from tests.docs.pages import inline_code, name_of, pages, shell_lines
from tests.manifests.commands import run

#: Options of other programs that the pages name beside ours.
_OTHERS = {
    "--repo-type", "--local-dir", "--array", "--check", "--gres", "--strict", "--filter-blobs", "--cpu-bind",
    # of the code of detectors
    "--additional_train_data", "--additional_test_data", "--huggingface_train_repo", "--huggingface_test_repo",
    "--hf_split_train", "--dataroot", "--classes", "--dataPath", "--max_sample",
}  # fmt: skip
_COMMANDS = (
    "cf-crawl",
    "cf-add",
    "cf-import",
    "cf-caption",
    "cf-fetch",
    "cf-sample",
    "cf-status",
    "cf-build-manifest",
    "cf-publish",
    "cf-export",
    "cf-detect",
    "cf-remove",
    "cf-merge",
    "cf-hub",
)


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_every_command_and_option_that_is_named_exists(page: Path) -> None:
    for line in [*shell_lines(page), *inline_code(page)]:
        words = re.findall(r"[^\s\[\]]+", line)
        if words and words[0] in _COMMANDS:
            options = {word.split("=")[0].rstrip(",;:") for word in words if word.startswith("--")}
            assert options <= options_of(words[0]), line
    lonely = {code.split()[0].split("=")[0] for code in inline_code(page) if code.startswith("--")}
    assert lonely <= _OTHERS.union(*map(options_of, _COMMANDS))


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_every_shell_line_that_names_a_command_can_be_parsed_as_one(page: Path) -> None:
    for line in shell_lines(page):
        if line.startswith(_COMMANDS) and not re.search(r"[\[<]|\.\.\.", line):
            assert shlex.split(line)


@cache
def options_of(command: str) -> frozenset[str]:
    """The options that the help of a command shows, of its subcommands too."""
    module, _, name = SCRIPTS[command].partition(":")
    entry_point = getattr(importlib.import_module(module), name)
    groups = {
        "cf-hub": ("serve", "mirror", "add", "ls"),
        "cf-detect": ("train", "evaluate", "study", "attribute", "audit", "report", "predict"),
    }
    subcommands = [*([name] for name in groups.get(command, ())), []]
    found: set[str] = set()
    for subcommand in subcommands:
        with mock.patch.dict(os.environ, COLUMNS="300"):
            shown = run(entry_point, *subcommand, "--help")
        assert shown.returncode == 0, shown
        found |= set(re.findall(r"--[a-z][a-z-]*", shown.stdout))
    return frozenset(found)
