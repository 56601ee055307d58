"""The commands of the documentation exist, with their options. Those of README.md and of the quickstart run in
`tests/examples/test_pages.py`."""

import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.docs.pages import inline_code, name_of, pages, shell_lines

#: Options of other programs that the pages name beside ours.
_OTHERS = {
    "--repo-type", "--local-dir", "--array", "--check", "--gres", "--strict", "--filter-blobs", "--cpu-bind",
    # of the code of detectors
    "--additional_train_data", "--additional_test_data", "--huggingface_train_repo", "--huggingface_test_repo",
    "--hf_split_train", "--dataroot", "--classes", "--dataPath", "--max_sample",
}  # fmt: skip
_COMMANDS = (
    "cf-crawl",
    "cf-caption",
    "cf-sample",
    "cf-status",
    "cf-build-manifest",
    "cf-publish",
    "cf-export",
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
    subcommands = [["serve"], ["add"], ["ls"], []] if command == "cf-hub" else [[]]
    found: set[str] = set()
    for subcommand in subcommands:
        shown = subprocess.run(
            [str(Path(sys.executable).parent / command), *subcommand, "--help"],
            capture_output=True, text=True, check=True, env={"COLUMNS": "300", "PATH": "/usr/bin"},
        )  # fmt: skip
        found |= set(re.findall(r"--[a-z][a-z-]*", shown.stdout))
    return frozenset(found)
