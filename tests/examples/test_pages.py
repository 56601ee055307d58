"""The commands and the Python of README.md and of the quickstart run, in order, on a small Hub.

Sampling is cut to two images where the page takes the default of 400, a command that runs until Ctrl-C is interrupted,
and data sets that this machine does not have are small ones. `make demo` and `make test` have tests of their own.
"""

import os
import re
import shlex
from pathlib import Path
from string import Template

import pytest

from localhub.process import HubProcess
from localhub.store import Store
from tests.docs.pages import DOCS, ROOT, fenced, shell_lines
from tests.docs.test_pages import make_targets
from tests.programs import Programs
from tests.small_hub import GENERATORS, write_coco, write_photographs
from workspace.identity import seed_of

#: What `run_page` replaces: places of a cluster, and a name that both pages publish under.
README = {"/shared/run-1": "$PWD/workspace", "/data/coco": "$PWD/coco", "ORG/NAME": "org/readme"}
STAGES = {"cf-crawl", "cf-caption", "cf-sample", "cf-status", "cf-build-manifest", "cf-publish"}


def run_page(page: Path, programs: Programs, folder: Path, replaced: dict[str, str]) -> set[str]:
    """Run all commands of a page in `folder`, then its Python; returns the names of the commands."""
    exported: dict[str, str] = {}
    ran = set()
    for line in shell_lines(page):
        for text, other in replaced.items():
            line = line.replace(text, other)
        words = shlex.split(Template(line).substitute(PWD=folder, PATH=os.environ["PATH"]))
        if words[0] == "export":
            exported |= {name: value for name, _, value in (word.partition("=") for word in words[1:])}
        elif words[0] == "make":
            assert set(words[1:]) <= make_targets()
        else:
            if words[0] == "cf-sample" and "--images" not in words:
                words += ["--images", "2"]
            programs.command(*words, folder=folder, interrupted="--watch" in words, **exported)
            ran.add(words[0])
    blocks = fenced(page, "python")
    assert blocks
    for block in blocks:
        programs.source(block, folder=folder)
    return ran


@pytest.mark.timeout(600)
def test_the_commands_and_the_python_of_the_readme_run(programs: Programs, tmp_path: Path) -> None:
    write_coco(tmp_path / "coco")
    assert run_page(ROOT / "README.md", programs, tmp_path, README) == STAGES | {"cf-export"}


@pytest.mark.timeout(600)
def test_the_commands_and_the_python_of_the_quickstart_run(programs: Programs, tmp_path: Path) -> None:
    write_photographs(tmp_path / "photos")
    assert run_page(DOCS / "quickstart.md", programs, tmp_path, {}) == STAGES


def test_the_row_of_the_readme_is_one_of_the_demo(hub: HubProcess) -> None:
    table = re.findall(r"^\|.*(?:model_name|inkwell).*\|$", (ROOT / "README.md").read_text(), re.MULTILINE)
    header, row = table[:2]
    names, values = ([cell.strip() for cell in line.split("|")[1:-1]] for line in (header, row))
    shown = dict(zip(names, values, strict=True))
    assert shown["model_name"] in GENERATORS
    store = Store(hub.directory)
    revision = store.commit_of(store.repo("model", shown["model_name"])).id
    index = int(re.findall(r"(\d+)\.png", shown["image_name"])[0])
    assert int(shown["seed"]) == seed_of(shown["model_name"], revision, 0, index)
