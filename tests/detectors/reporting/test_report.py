"""The page of the detectors, in a browser: complete in itself, with every number where it is said to be."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from detectors.data.index import Index
from detectors.options import AuditOptions, EvaluateOptions, ReportOptions
from detectors.pixels.transforms import parse_all
from detectors.protocols.folds import folds
from detectors.reporting import report_path, write_report
from detectors.results.evaluation import evaluate
from detectors.results.table import read_results
from detectors.run import Run
from detectors.stage import audit_data, evaluate_detector
from tests.browser import look
from tests.detectors.results.test_table import Mean, recipe
from workspace.errors import UsageError
from workspace.layout import Workspace

HOSTILE = "org/<script>alert(1)</script>"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six generators, one with a name that is markup, and photographs in JPEG."""
    folder, chance = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    lines = ["path,label,generator,architecture,created_at"]
    for number in range(72):
        fake = number < 36
        pixels = chance.normal(90 if fake else 130, 60, (20, 20, 3)).clip(0, 255).astype(np.uint8)
        name = f"{number}.{'png' if fake else 'jpg'}"
        Image.fromarray(pixels).save(folder / name)
        generator = HOSTILE if number % 6 == 5 else f"org/g{number % 6}"
        about = f"{generator},{('GAN', 'LatDiff')[number % 2]},2024-0{number % 6 + 1}-01" if fake else ",,"
        lines.append(f"{name},{int(fake)},{about}")
    (folder / "world.csv").write_text("\n".join(lines))
    return folder / "world.csv"


@pytest.fixture(scope="module")
def workspace(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The shortcut by generator, a detector of pixels by time and with JPEG, and an audit."""
    workspace = Workspace.open(tmp_path_factory.mktemp("page") / "workspace")
    evaluate_detector(workspace, "shortcut", EvaluateOptions(data=(str(data),), protocol="generator:2"))
    index = Index.open([str(data)], workspace)
    for protocol, transforms in (("temporal:2", []), ("generator:2", ["jpeg=50,20"])):
        for fold in folds(index, protocol, 0):
            made = recipe(protocol=protocol, fold=fold.name, rows=fold.digest(index), data=index.digests)
            evaluate(Run.open(workspace, made).folder, Mean(), index, fold, parse_all(transforms))
    audit_data(workspace, AuditOptions(data=(str(data),)))
    written = write_report(workspace, ReportOptions(data=(str(data),)))
    assert written.remarks == []
    return workspace


ACT = """
const cells = (selector) => all(selector).map((cell) => cell.textContent.trim());
const table = find("#generators details[open] table");
const column = () => [...table.tBodies[0].rows].map((row) => row.cells[0].textContent.trim());
const before = column();
table.querySelector("thead button").click();
const sorted = column();
table.querySelector("thead button").click();
return {
  heads: cells("#overview thead th"), overview: all("#overview tbody tr").map((row) => row.innerText),
  warned: all("#overview td.warned").length, warnings: all(".warning").map((one) => one.textContent),
  sections: cells("h2"), before, sorted, reversed: column(), figures: all("svg").length,
  names: cells("#generators th.name"), runs: all("#recipes details").length,
};
"""


def test_the_page_is_complete_in_itself_and_shows_every_part(workspace: Workspace, tmp_path: Path) -> None:
    seen: dict[str, Any] = look(report_path(workspace), tmp_path, ACT, width=1250)
    assert seen["errors"] == seen["violations"] == []
    assert seen["requests"] == 0
    assert not seen["overflow"]
    assert seen["images"] == seen["decoded"] > 0
    acted = seen["acted"]
    expected = "Detectors, Shortcut audit, Generators, ROC and reliability, Time, Robustness generator:2, Recipes"
    assert [section.replace(",", "") for section in acted["sections"]] == expected.split(", ")
    assert {"mAP", "worst AP", "ECE", "shortcut AUROC", "matched mAP"} <= set(acted["heads"])
    assert len(acted["overview"]) == 4  # the shortcut and the pixels by generator, and these by time and in the whole
    assert acted["warned"] == 4
    assert "format" in acted["warnings"][0]
    assert HOSTILE in acted["names"]
    assert acted["sorted"] == sorted(acted["before"], key=str.casefold)
    assert acted["reversed"] == acted["sorted"][::-1]
    assert acted["figures"] == 3 * 2 + 2  # ROC and reliability of three, and two of robustness
    assert acted["runs"] == 2 + 2 + 2


def test_its_numbers_are_those_of_the_results(workspace: Workspace) -> None:
    page = report_path(workspace).read_text()
    for row in read_results(workspace).to_pylist():
        of_table = (row["scope"], row["fold"], row["metric"], row["transform"], row["part"])
        if of_table == ("mean over generators", "all folds", "AP", "none", "test"):
            assert f'<span class="value">{row["value"]:.3f}</span>' in page


def test_it_fits_a_telephone(workspace: Workspace, tmp_path: Path) -> None:
    seen = look(report_path(workspace), tmp_path, width=400)
    assert not seen["overflow"]


def test_the_same_files_give_the_same_page(workspace: Workspace, data: Path) -> None:
    before = report_path(workspace).read_bytes()
    write_report(workspace, ReportOptions(data=(str(data),)))
    assert report_path(workspace).read_bytes() == before


def test_without_its_images_the_page_lacks_pictures_only_and_says_so(workspace: Workspace, data: Path) -> None:
    before = report_path(workspace).read_bytes()
    try:
        written = write_report(workspace, ReportOptions())  # the workspace has no manifest
        assert len(written.remarks) == 1
        assert "the page has no pictures" in written.remarks[0]
        without = report_path(workspace).read_text()
        assert "<img" not in without
        assert re.sub(r"<img[^>]*>", "", before.decode()) == without
    finally:
        report_path(workspace).write_bytes(before)


def test_without_scores_and_audits_there_is_nothing_to_report(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no scores yet: run `cf-detect evaluate`"):
        write_report(Workspace.open(tmp_path))
