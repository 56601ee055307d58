"""What the pages name exists: files, links, headings, make targets, extras."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.docs.pages import DOCS, ROOT, anchors, fenced, inline_code, links, name_of, pages, shell_lines

_ROOMS = "community_forensics|crawler|captioning|samplers|manifests|localhub|demo|tests|benchmarks|docs|examples"
#: A path below a room; of `workspace/` only its modules, because the pages call the data folder so too.
_PATH = re.compile(rf"(?<![\w/.<-])(?:(?:{_ROOMS})/[\w./-]*[\w/]|workspace/\w+\.py)")
#: Folders that only a user has: workspaces, and the demo's.
_NOT_OURS = ("tests_hub", "demo-run")

PAGES = pytest.mark.parametrize("page", pages(), ids=name_of)


@PAGES
def test_every_path_that_is_named_exists(page: Path) -> None:
    named = {path for code in [*inline_code(page), *shell_lines(page)] for path in _PATH.findall(code)}
    named |= {path for path in _PATH.findall(page.read_text()) if path.endswith(".py")}
    missing = {path for path in named if not path.startswith(_NOT_OURS) and not (ROOT / path).exists()}
    assert not missing


@PAGES
def test_every_relative_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for path, anchor in links(page):
        target = (page.parent / path) if path else page
        assert target.exists(), f"{path} does not exist"
        if anchor:
            assert anchor in anchors(target), f"{path or page.name} has no heading #{anchor}"


@PAGES
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    lines = [*shell_lines(page), *inline_code(page)]
    named = {name for line in lines for name in re.findall(r"^make ([a-z][a-z-]*)", line)}
    assert named <= make_targets()


@PAGES
def test_every_extra_that_is_named_exists(page: Path) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {name for code in [*inline_code(page), *shell_lines(page)] for name in re.findall(r'\.\[(\w+)\]"', code)}
    assert named <= set(extras)


@PAGES
def test_every_python_block_is_python(page: Path) -> None:
    for block in fenced(page, "python"):
        compile(block, name_of(page), "exec")


def test_the_site_shows_every_page() -> None:
    navigation = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    shown = set(re.findall(r"[\w/-]+\.md", str(navigation)))
    assert shown == {page.relative_to(DOCS).as_posix() for page in pages() if page.is_relative_to(DOCS)}


def test_the_glossary_explains_each_term_once() -> None:
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", (DOCS / "glossary.md").read_text(), re.MULTILINE)[1:]
    terms = [term.strip() for row, _ in rows for term in row.split(",")]
    assert len(terms) >= 25
    assert len(terms) == len(set(terms))


def test_a_picture_of_the_documentation_is_small() -> None:
    pictures = list((DOCS / "images").iterdir())
    assert pictures
    assert all(picture.stat().st_size < 300_000 for picture in pictures)


def test_the_citation_file_has_what_its_format_requires() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert cited["cff-version"] == "1.2.0"
    assert {"title", "message", "authors"} <= cited.keys()
    assert (cited["title"], cited["version"]) == (project["name"], project["version"])
    assert cited["license"] == project["license"]
    (study,) = cited["references"]
    assert {"type", "title", "authors"} <= study.keys()
    assert study["url"] in project["urls"].values()


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
