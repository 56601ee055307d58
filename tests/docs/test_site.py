"""`make docs`: the site builds without a warning, needs nothing from elsewhere, and a broken link fails it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The repository with a documentation of its own, which a test may change."""
    root = tmp_path / "tree"
    root.mkdir()
    for entry in ROOT.iterdir():
        if entry.name not in ("docs", "site") and not entry.name.startswith("."):
            (root / entry.name).symlink_to(entry)
    shutil.copytree(ROOT / "docs", root / "docs")
    return root


def build(root: Path) -> "subprocess.CompletedProcess[str]":
    """Run the command of the Makefile's target docs."""
    recipe = re.search(r"^docs:.*\n\t(.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    command = recipe[1].replace("$(BIN)/mkdocs", f"{sys.executable} -m mkdocs")
    return subprocess.run(
        command, shell=True, cwd=root, env=dict(os.environ), capture_output=True, text=True, check=False, timeout=120
    )


def test_the_site_builds_without_a_warning_and_without_anything_from_elsewhere(tree: Path) -> None:
    built = build(tree)
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stdout + built.stderr
    pages = list((tree / "site").rglob("*.html"))
    assert len(pages) > 15
    for page in pages:
        loaded = re.findall(
            r'(?:<(?:script|img|iframe|source)\b[^>]*\ssrc|<link\b[^>]*\shref)="([^"]+)"', page.read_text()
        )
        assert not [address for address in loaded if "://" in address], page


def test_a_broken_link_of_any_kind_fails_the_build(tree: Path) -> None:
    """With the project's own settings, of two pages: the others take seconds."""
    docs = tree / "docs"
    for page in [*docs.rglob("*.md"), *docs.rglob("*.png")]:
        page.unlink()
    links = ("no-such-page.md", "glossary.md#no-such-heading", "../crawler/no.py")
    whole = ("glossary.md#a-heading", "../crawler/catalog.py")
    (docs / "glossary.md").write_text("# Glossary\n\n## A heading\n")
    (docs / "costs.md").write_text("# Costs\n\n" + " ".join(f"[x]({link})" for link in (*links, *whole)) + "\n")
    settings = (ROOT / "mkdocs.yml").read_text().partition("\nnav:")[0]
    (tree / "mkdocs.yml").unlink()
    (tree / "mkdocs.yml").write_text(f"{settings}\nnav: [costs.md, glossary.md]\n")
    built = build(tree)
    assert built.returncode == 1, built.stdout
    warnings = [line for line in built.stderr.splitlines() if "WARNING" in line and "costs.md" in line]
    for link in links:
        assert sum(link in warning for warning in warnings) == 1, built.stderr
    # Each of them alone would have ended the build.
    assert f"Aborted with {len(links)} warnings" in built.stdout
