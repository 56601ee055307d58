"""The page as a whole, in a real browser."""

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from manifests.report import report_path, write_report
from manifests.report.contact_sheet import PICTURES, PICTURES_OF_FEW, SHEETS, evenly_spaced
from tests.browser import look
from tests.manifests.making import Builder, png
from tests.manifests.report.pages import CHARTS, PAGE_BYTES, generated, image_of, real_image, written
from tests.scale import scaled, weekly
from workspace.errors import UsageError
from workspace.layout import Workspace

HOSTILE = "</script></svg><script>alert(1)</script><img src=x onerror=alert(2)>$\\frac{$ 100% & \"' \x07漢字"


def test_a_browser_shows_every_image_and_asks_the_network_for_nothing(report: Path, tmp_path: Path) -> None:
    seen = look(report, tmp_path)
    # Eight of each of two generators, the four of the third, and the six real images that may be passed on.
    assert seen["images"] == seen["decoded"] == seen["enlarged"] == 2 * PICTURES_OF_FEW + 4 + 6
    assert seen["requests"] == 0
    assert not seen["overflow"]
    assert seen["height"] > 1000
    assert (seen["console"], seen["violations"], seen["errors"]) == ([], [], [])


def test_the_page_is_no_wider_than_a_phone(report: Path, tmp_path: Path) -> None:
    blocks = ".card, .numbers, .tools, .scroll, h1, p, figure"
    wide = f"return all('{blocks}').filter(element => element.getBoundingClientRect().right > 390).length"
    seen = look(report, tmp_path, wide, width=390)
    assert (seen["width"], seen["overflow"], seen["acted"]) == (390, False, 0)
    assert seen["decoded"] == 2 * PICTURES_OF_FEW + 4 + 6


def test_the_page_names_nothing_outside_itself_but_the_generators_pages(report: Path) -> None:
    page = re.sub(r"base64,[^\"]*", "base64,", report.read_text())
    # Files of the workspace, and real images where they were captioned.
    page = re.sub(r'<a href="(\.\./images/|file:///)[^"]*">', "<a>", page)
    named = set(re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?(?!data:|#)([^"'\s>]+)""", page))
    names = ("org/painter", "org/sketcher", "solo-dreamer", "org/broken", "org/crashing")
    # The first ones are the script's, which makes the others of them.
    assert named == {"address;", "https://huggingface.co/", *(f"https://huggingface.co/{name}" for name in names)}
    assert page.count('rel="noreferrer"') == page.count('<a href="https')


def test_no_two_elements_share_an_id_and_charts_need_none(report: Path) -> None:
    page = report.read_text()
    ids = re.findall(r'\sid="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    for chart in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        assert not re.search(r"\sid=|url\(|<style|<defs", chart)
        assert 'role="img" aria-label="' in chart


def test_the_same_manifest_gives_the_same_bytes(reported: Workspace) -> None:
    first = report_path(reported).read_bytes()
    assert write_report(reported).read_bytes() == first


def test_texts_of_unknown_authors_stay_text(builder: Builder, tmp_path: Path) -> None:
    strange = generated(0, license=HOSTILE, hf_diffusers_tag=HOSTILE, model_name='o"><script>/$x$', outcome=HOSTILE)
    failed = generated(1, kept=0, tried=0, split=None, outcome="crashed", outcome_detail=HOSTILE, license=HOSTILE)
    source = {"real_title": HOSTILE, "prompt": HOSTILE, "real_id": HOSTILE, "license": HOSTILE}
    rows = [image_of(strange, **source), real_image(1, **source, format=HOSTILE, mode=HOSTILE)]
    page = written(builder.workspace, [strange, failed], rows)
    seen = look(
        page,
        tmp_path,
        f"""
        const charts = (() => {{ {CHARTS} }})();
        const markup = [all("script").length, all("img").length, all("[onerror]").length];
        find("#search-generators").focus();
        type("#search-generators", "onerror=alert(2)");
        type("#search-pictures", "onerror=alert(2)");
        return {{charts, markup, rows: all("#generators tbody tr").length, shown: find("#pictures-shown").textContent,
            link: find("#generators a").href, licence: all("#generators td")[3].textContent}}""",
    )
    assert (seen["errors"], seen["violations"], seen["console"], seen["requests"]) == ([], [], [], 0)
    acted = seen["acted"]
    # The data, the page's script and the probe; two pictures, of which none is the stranger's.
    assert acted["markup"] == [3, 2, 0]
    assert (acted["rows"], acted["shown"]) == (2, "2 pictures")
    assert acted["link"] == "https://huggingface.co/o%22%3E%3Cscript%3E/%24x%24"
    assert acted["licence"] == HOSTILE
    # Drawn as it was written, as far as there is room, without what does not print.
    assert acted["charts"]["Licences of the generators"][-1] == f"{HOSTILE[:47]}…"
    assert acted["charts"]["Real images, by source"][-1] == f"{HOSTILE[:47]}…"


# Each day: as many sheets and not more, each picture within its bound (test_contact_sheet.py), and a table of pages.
@weekly("manifests/report/test_contact_sheet.py::test_of_many_generators_the_contact_sheet_shows_evenly_spaced_ones")
def test_thousands_of_generators_are_a_page_that_opens(builder: Builder, tmp_path: Path) -> None:
    # As much detail as a picture may have before it is shrunk further: no page is heavier.
    number = scaled(1_000, 50_000)
    picture = builder.workspace.root / "images" / "picture.png"
    picture.parent.mkdir(parents=True)
    detail = Image.open(io.BytesIO(png(1, size=32))).resize((256, 256), Image.Resampling.BICUBIC)
    detail.save(picture)
    generators = [
        generated(rank, license=f"licence {rank % 500}" if rank % 3 else None, outcome_detail="x" * 200)
        for rank in range(number)
    ]
    generators[3] = replace(generators[3], kept=0, split=None, outcome="crashed")
    sampled = [row for row in generators if row.kept]
    rows = [image_of(row) for row in sampled]
    rows += [image_of(row, index) for row in evenly_spaced(sampled, SHEETS) for index in range(1, PICTURES + 3)]
    page = written(builder.workspace, generators, rows)
    assert page.stat().st_size < PAGE_BYTES * scaled(1, 2)
    seen = look(
        page,
        tmp_path,
        """type("#search-generators", "generator-00003"); const crashed = find("#generators tbody tr").textContent;
        type("#search-generators", "");
        return {crashed, rows: all("#generators tbody tr").length, shown: find("#generators-shown").textContent,
            elements: all("*").length, sheets: all(".sheet").length}""",
    )
    acted = seen["acted"]
    assert (seen["errors"], seen["violations"], seen["console"]) == ([], [], [])
    assert seen["images"] == seen["decoded"] == SHEETS * PICTURES
    assert acted["sheets"] == SHEETS
    assert "crashed" in acted["crashed"]
    assert acted["shown"] == f"1–50 of {number:,}".replace(",", "\u202f")
    # The table's other rows are data, not elements.
    assert acted["elements"] < 40 * SHEETS * PICTURES


def test_without_a_manifest_there_is_no_report(builder: Builder) -> None:
    with pytest.raises(UsageError):
        write_report(builder.workspace)
