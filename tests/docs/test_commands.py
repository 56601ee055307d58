"""The commands of the documentation: those of README.md run, in order, on a small Hub.

Sampling is cut to two images where the page takes the default of 400, a command that runs until Ctrl-C is interrupted,
and data sets that this machine does not have are small ones. The quickstart runs beside the examples. Of all other
pages it is checked only that commands and options exist.
"""

import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import psutil
import pytest

from localhub.process import HubProcess
from tests.docs.pages import ROOT, fenced, inline_code, name_of, pages, shell_lines
from tests.docs.test_pages import make_targets
from tests.small_hub import GENERATORS, environment_of, small_hub, write_coco, write_photographs
from workspace.identity import seed_of

#: Options of other programs that the pages name beside ours.
_OTHERS = {"--repo-type", "--local-dir", "--array", "--check", "--gres", "--strict", "--filter-blobs"}
_COMMANDS = ("cf-crawl", "cf-caption", "cf-sample", "cf-status", "cf-build-manifest", "cf-publish", "cf-hub")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with small_hub(tmp_path_factory.mktemp("hub") / "hub") as hub:
        yield hub


@pytest.mark.timeout(600)
def test_the_commands_and_the_python_of_the_readme_run(hub: HubProcess, tmp_path: Path) -> None:
    page = ROOT / "README.md"
    write_photographs(tmp_path / "photos")
    write_coco(tmp_path / "coco")
    environment = environment_of(hub, tmp_path / "home")
    exports: list[str] = []
    ran = []
    for line in shell_lines(page):
        command = line.replace("/shared/run-1", f"{tmp_path}/workspace").replace("/data/coco", f"{tmp_path}/coco")
        if command.startswith("make "):
            assert set(command.split()[1:]) <= make_targets()  # `make demo` and `make test` have tests of their own
        elif command.startswith("export "):
            exports.append(command)
        else:
            assert command.startswith(_COMMANDS), f"{line!r} is no command that this test can run"
            if command.startswith("cf-sample") and "--images" not in command:
                command += " --images 2"
            script = "\n".join(["set -e", *exports, f"exec {command}"])
            process = subprocess.Popen(
                ["bash", "-c", script], cwd=tmp_path, env=environment, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            if "--watch" in command:
                wait_until_idle(process.pid)
                process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=500)
            assert process.returncode == 0, f"{line}\n{output}\n{errors}"
            ran.append(command.split()[0])
    assert {"cf-crawl", "cf-caption", "cf-sample", "cf-status", "cf-build-manifest", "cf-publish"} <= set(ran)
    blocks = fenced(page, "python")
    assert blocks
    for block in blocks:
        ended = subprocess.run(
            [sys.executable, "-c", block], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, f"{block}\n{ended.stderr}"


def wait_until_idle(pid: int) -> None:
    """Wait until a process uses no processor time for two seconds: on a busy machine Python needs long to start."""
    used, process = -1.0, psutil.Process(pid)
    while used != (now := sum(process.cpu_times()[:2])):
        used = now
        time.sleep(2)


def test_the_row_of_the_readme_is_one_of_the_demo(hub: HubProcess) -> None:
    from localhub.store import Store

    table = re.findall(r"^\|.*(?:model_name|inkwell).*\|$", (ROOT / "README.md").read_text(), re.MULTILINE)
    header, row = table[:2]
    names, values = ([cell.strip() for cell in line.split("|")[1:-1]] for line in (header, row))
    shown = dict(zip(names, values, strict=True))
    assert shown["model_name"] in GENERATORS
    store = Store(hub.directory)
    revision = store.commit_of(store.repo("model", shown["model_name"])).id
    index = int(re.findall(r"(\d+)\.png", shown["image_name"])[0])
    assert int(shown["seed"]) == seed_of(shown["model_name"], revision, 0, index)


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
