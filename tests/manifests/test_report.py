import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from manifests.building import build
from manifests.manifest import ManifestRow, manifest_path
from manifests.report import PAGE_ROWS, write_report
from manifests.report.charts import ROWS, Chart, Row, percent, ranked
from manifests.report.contact import PICTURE_BYTES, PICTURES, PICTURES_OF_FEW, SHEETS, evenly
from manifests.tables.generators import GeneratorRow, write_generators
from tests.browser import look
from tests.manifests.making import Builder, png, sha256
from tests.scale import scaled
from workspace import records
from workspace.errors import UsageError
from workspace.layout import Workspace

#: What a page of ten thousand generators may weigh, bytes.
PAGE_BYTES = 15_000_000

#: JavaScript: what each chart's drawing says, by the chart's title.
CHARTS = """return Object.fromEntries(all(".chart").map(chart => [
    chart.querySelector("h3").textContent, [...chart.querySelectorAll("svg text")].map(text => text.textContent)]))"""

HOSTILE = "</script></svg><script>alert(1)</script><img src=x onerror=alert(2)>$\\frac{$ 100% & \"' \x07漢字"


def generated(number: int, **changes: Any) -> GeneratorRow:
    """A row of the table of generators."""
    values: dict[str, Any] = {
        "model_name": f"org-{number % 97}/generator-{number:05d}",
        "revision": sha256(str(number).encode())[:40],
        "subset": "Systematic",
        "rank": number + 1,
        "downloads": 20_000 - number,
        "likes": 1,
        "license": "mit",
        "license_source": "card",
        "license_family": "open",
        "hf_pipeline_tag": "text-to-image",
        "hf_diffusers_tag": "StableDiffusionPipeline",
        "architecture": "LatDiff",
        "task": "text-to-image",
        "kind": "checkpoint",
        "hyperparameter_sources": "{}",
        "status": "compatible",
        "created_at": "2024-05-01T00:00:00Z",
        "outcome": "done",
        "split": "train",
        "tried": 1,
        "kept": 1,
        "nsfw": 0,
        "blank": 0,
        "nan": 0,
        "duplicate": 0,
    }
    return GeneratorRow(**values | changes)


def image_of(generator: GeneratorRow, index: int = 0, **changes: Any) -> ManifestRow:
    """A generated image."""
    values: dict[str, Any] = {
        "image_name": f"{index:08d}.png",
        "label": 1,
        "subset": generator.subset,
        "split": generator.split,
        "model_name": generator.model_name,
        "revision": generator.revision,
        "index": index,
        "architecture": generator.architecture,
        "license": generator.license,
        "license_family": generator.license_family,
        "prompt": f"a thing of {generator.model_name}",
        "real_source": "coco",
        "real_title": "COCO",
        "real_id": f"{generator.rank}.jpg",
        "seed": index,
        "format": "PNG",
        "mode": "RGB",
        "width": 512,
        "height": 512,
        "sha256": sha256(f"{generator.model_name} {index}".encode()),
        "path": "images/picture.png",
    }
    return ManifestRow(**values | changes)


def real_image(number: int, **changes: Any) -> ManifestRow:
    values: dict[str, Any] = {
        "image_name": f"{number}.jpg",
        "label": 0,
        "subset": "Real",
        "split": "train",
        "architecture": "real",
        "license_family": "unknown",
        "prompt": f"a photograph of thing {number}",
        "real_source": "coco",
        "real_title": "COCO",
        "real_id": f"{number}.jpg",
        "format": "JPEG",
        "mode": "RGB",
        "width": 640,
        "height": 480,
        "sha256": sha256(str(number).encode()),
        "redistributable": True,
        "path": "images/picture.png",
    }
    return ManifestRow(**values | changes)


def written(workspace: Workspace, generators: list[GeneratorRow], rows: list[ManifestRow]) -> Path:
    """The report of a manifest that says this; all its images are one picture."""
    records.write(manifest_path(workspace), ManifestRow, rows)
    write_generators(workspace, generators)
    picture = workspace.root / "images" / "picture.png"
    if not picture.exists():
        picture.parent.mkdir(parents=True)
        picture.write_bytes(png(1))
    return write_report(workspace)


@pytest.fixture
def report(filled: Builder) -> Path:
    workspace = filled.write()
    build(workspace)
    return write_report(workspace)


def test_a_browser_shows_every_image_and_asks_the_network_for_nothing(report: Path, tmp_path: Path) -> None:
    seen = look(report, tmp_path)
    # Eight of each of two generators, the four of the third, and the six real images that may be passed on.
    assert seen["images"] == seen["decoded"] == seen["enlarged"] == 2 * PICTURES_OF_FEW + 4 + 6
    assert seen["requests"] == 0
    assert not seen["overflow"]
    assert seen["height"] > 1000
    assert (seen["console"], seen["violations"], seen["errors"]) == ([], [], [])


def test_the_page_is_no_wider_than_a_telephone(report: Path, tmp_path: Path) -> None:
    blocks = ".card, .numbers, .tools, .scroll, h1, p, figure"
    wide = f"return all('{blocks}').filter(element => element.getBoundingClientRect().right > 390).length"
    seen = look(report, tmp_path, wide, width=390)
    assert (seen["width"], seen["overflow"], seen["acted"]) == (390, False, 0)
    assert seen["decoded"] == 2 * PICTURES_OF_FEW + 4 + 6


def test_the_charts_say_their_numbers(report: Path, tmp_path: Path) -> None:
    charts = {title: sorted(said) for title, said in look(report, tmp_path, CHARTS)["acted"].items()}
    assert charts == {
        "Licences of the generators": ["1", "2", "creativeml-openrail-m", "none given"],
        "Generators by architecture": ["1", "2", "LatDiff", "PixDiff"],
        "Images by architecture": ["18", "4", "LatDiff", "PixDiff"],
        "Generators by pipeline": ["3", "StableDiffusionPipeline"],
        "Generators by the Hub's task tag": ["3", "text-to-image"],
        "Longest side, pixels": ["1 to 64", "100\u00a0%", "100\u00a0%", "generated", "real"],
        "Format and colour mode": sorted(
            ["PNG, RGB", "100\u00a0%", "0\u00a0%", "PNG, mode unknown", "0\u00a0%", "100\u00a0%", "generated", "real"]
        ),
        "Prompts used, by real source": ["3", "6", "LOCKED", "PHOTOS"],
        "Generated images, by source of the prompt": ["12", "6", "LOCKED", "PHOTOS"],
        "Real images, by source": ["3", "6", "LOCKED", "PHOTOS"],
        "Rejected images by reason": ["1", "1", "1", "duplicate", "nan", "nsfw"],
        "Generators without images by reason": ["1", "1", "crashed", "pickle-only"],
    }


def test_the_page_counts_what_was_made(report: Path) -> None:
    page = report.read_text()
    assert dict(re.findall(r"<div><dt>(.*?)</dt><dd>(.*?)</dd>", page)) == {
        "generators found": "5",
        "compatible": "4",
        "sampled": "3",
        "images tried": "25",
        "images kept": "22",
        "real images": "9",
        "rejected: nsfw": "1",
        "rejected: blank": "0",
        "rejected: nan": "1",
        "rejected: duplicate": "1",
    }
    assert "<code>pickle-only</code>" in page
    assert "how it crashed" in page


def test_the_page_names_nothing_outside_itself_but_the_generators_pages(report: Path) -> None:
    page = re.sub(r"base64,[^\"]*", "base64,", report.read_text())
    named = set(re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?(?!data:|#)([^"'\s>]+)""", page))
    names = ("org/painter", "org/sketcher", "solo-dreamer", "org/broken", "org/crashing")
    # The first one is the script's, which makes the others of it.
    assert named == {"https://huggingface.co/", *(f"https://huggingface.co/{name}" for name in names)}
    assert page.count('rel="noreferrer"') == page.count('<a href="https')


def test_no_two_elements_share_an_id_and_charts_need_none(report: Path) -> None:
    page = report.read_text()
    ids = re.findall(r'\sid="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    for chart in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        assert not re.search(r"\sid=|url\(|<style|<defs", chart)
        assert 'role="img" aria-label="' in chart


def test_the_same_manifest_gives_the_same_bytes(report: Path, filled: Builder) -> None:
    first = report.read_bytes()
    assert write_report(filled.workspace).read_bytes() == first


def test_what_strangers_wrote_is_text(builder: Builder, tmp_path: Path) -> None:
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


def test_formulas_and_what_does_not_print_are_no_danger_to_a_chart() -> None:
    drawn = ranked("Licences", {"$\\frac{$ $x^2$": 3, "a\x00b\x1b\u202ec\nd": 2, "漢字 & <b>": 1}).svg
    assert ">$\\frac{$ $x^2$</text>" in drawn
    assert ">a\ufffdb\ufffd\ufffdc d</text>" in drawn
    assert ">漢字 &amp; &lt;b&gt;</text>" in drawn


def test_the_table_is_searched_sorted_and_paged(builder: Builder, tmp_path: Path) -> None:
    generators = [
        generated(number, kept=1 if number % 2 else 0, tried=number % 7, license="mit" if number % 3 else None)
        for number in range(2 * PAGE_ROWS + 7)
    ]
    page = written(builder.workspace, generators, [image_of(row) for row in generators if row.kept])
    seen = look(
        page,
        tmp_path,
        """
        const state = () => [find("#generators-shown").textContent, all("#generators tbody tr").length,
            ...[0, 1].map(row => all("#generators tbody tr")[row]?.children[1].textContent)];
        const told = [state()];
        const click = selector => { find(selector).click(); told.push(state()); };
        click("#next"); click("#next");
        const last = find("#next").disabled;
        click("#previous");
        type("#search-generators", "MIT generator-0000"); told.push(state());
        type("#search-generators", "no such thing"); told.push(state());
        type("#search-generators", "");
        const head = number => `#generators th:nth-child(${number}) button`;
        click(head(1)); click(head(1)); click(head(7)); click(head(7)); click(head(4));
        return {told, last, sorted: all("[aria-sort]").map(head => head.textContent + " " + head.ariaSort)}""",
    )
    assert seen["errors"] == []

    def names(*numbers: int) -> list[str]:
        return [generated(number).model_name for number in numbers]

    assert seen["acted"]["told"] == [
        ["1–50 of 107", 50, *names(0, 1)],
        ["51–100 of 107", 50, *names(50, 51)],
        ["101–107 of 107", 7, *names(100, 101)],
        ["51–100 of 107", 50, *names(50, 51)],
        ["1–6 of 6", 6, *names(1, 2)],
        ["none", 0, None, None],
        ["1–50 of 107", 50, *names(0, 1)],
        ["1–50 of 107", 50, *names(106, 105)],
        ["1–50 of 107", 50, *names(0, 7)],
        ["1–50 of 107", 50, *names(6, 13)],
        ["1–50 of 107", 50, *names(1, 2)],  # without a licence: last
    ]
    assert seen["acted"]["last"] is True
    assert seen["acted"]["sorted"] == ["licence ascending"]


def test_without_the_script_the_first_rows_are_there(builder: Builder, tmp_path: Path) -> None:
    generators = [generated(number) for number in range(PAGE_ROWS + 1)]
    page = written(builder.workspace, generators, [image_of(row) for row in generators])
    rows = """return [visible("#generators tbody tr").length, visible("input").length,
        find("#generators td:nth-child(2)").textContent]"""
    assert look(page, tmp_path, rows, script=False)["acted"] == [PAGE_ROWS, 0, generators[0].model_name]


def test_the_contact_sheet_is_searched_and_says_where_a_picture_is_from(report: Path, tmp_path: Path) -> None:
    seen = look(
        report,
        tmp_path,
        """
        const search = (text) => {
            type("#search-pictures", text);
            return [find("#pictures-shown").textContent, visible(".sheet").length, visible(".sheet img").length];
        };
        const told = ["", "painter", "pixdiff", "creativeml folder/3.png", "seed 21", "locked"].map(search);
        search("painter folder/3.png");
        const figure = visible(".sheet figure")[0];
        const before = figure.querySelector("dl").checkVisibility();
        figure.querySelector("summary").click();
        return {told, before, origin: figure.querySelector("dl").innerText}""",
    )
    assert seen["acted"]["told"] == [
        ["26 pictures", 4, 26],
        ["8 pictures", 1, 8],
        ["4 pictures", 1, 4],
        ["1 picture", 1, 1],
        ["3 pictures", 3, 3],
        ["4 pictures", 2, 4],
    ]
    assert seen["acted"]["before"] is False
    origin = dict(zip(*[iter(seen["acted"]["origin"].split("\n"))] * 2, strict=True))
    assert origin["generator"] == "org/painter"
    assert len(origin["revision"]) == 40
    assert origin["prompt"] == "a photograph of thing 3"
    assert origin["prompt from"] == "PHOTOS: folder/3.png"
    assert (origin["seed"], origin["steps"], origin["split"]) == ("21", "20", "train")
    assert origin["file"] == "images/org--painter/00000003.png"


def test_real_images_that_may_not_be_passed_on_have_no_thumbnail(builder: Builder) -> None:
    generator = generated(0)
    rows = [real_image(1), real_image(2, redistributable=False), real_image(3, redistributable=None)]
    page = written(builder.workspace, [generator], [image_of(generator), *rows]).read_text()
    assert "a photograph of thing 1" in page
    assert "a photograph of thing 2" not in page
    assert "a photograph of thing 3" not in page


def test_what_tells_real_from_generated_without_looking_is_said(builder: Builder) -> None:
    generator = generated(0)
    fakes = [image_of(generator, index) for index in range(100)]
    reals = [real_image(number, format="JPEG" if number < 94 else "PNG") for number in range(100)]
    page = (
        written(builder.workspace, [generator], fakes + reals).read_text().replace("\u00a0", " ").replace("&nbsp;", " ")
    )
    # Guessing by the format: all generated right, 94 of 100 real ones: 97 of 100.
    assert "Of the generated images all are PNG; of the real ones 6 %, and 94 % are JPEG." in page
    assert "Who knows the format alone and guesses is right in 97 % of cases" in page
    assert "Of the generated images all are 512 × 512; of the real ones none, and all are 640 × 480." in page
    assert "Who knows the size alone and guesses is right in 100 % of cases" in page
    assert "colour mode alone" not in page


def test_where_real_and_generated_are_alike_nothing_is_warned_of(builder: Builder) -> None:
    generator = generated(0)
    fakes = [image_of(generator, index) for index in range(10)]
    reals = [real_image(number, format="PNG", width=512, height=512) for number in range(2)]
    page = written(builder.workspace, [generator], fakes + reals).read_text()
    assert "much alike" in page
    assert "A detector could learn" not in page


def test_an_evaluation_set_is_counted_by_architecture(builder: Builder, tmp_path: Path) -> None:
    splits: list[Any] = ["train", "train", "test", None]
    generators = [
        generated(number, split=split, architecture="PixDiff" if split == "test" else "LatDiff", kept=2)
        for number, split in enumerate(splits)
    ]
    rows = [image_of(row, index) for row in generators for index in range(2)]
    charts = look(written(builder.workspace, generators, rows), tmp_path, CHARTS)["acted"]
    legend = ["train", "evaluation", "neither"]
    assert sorted(charts["Generators by architecture and split"]) == sorted(
        ["2", "0", "0", "1", "1", "0", "LatDiff", "PixDiff", *legend]
    )
    assert sorted(charts["Images by architecture and split"]) == sorted(
        ["4", "0", "0", "2", "2", "0", "LatDiff", "PixDiff", *legend]
    )


def test_without_an_evaluation_set_or_real_images_the_page_says_so(builder: Builder) -> None:
    generator = generated(0, created_at=None)
    row = image_of(generator, real_source=None, real_title=None, real_id=None, prompt=None)
    page = written(builder.workspace, [generator], [row]).read_text()
    assert "--holdout architecture=PixDiff" in page
    assert "There are no real images to compare with" in page
    titles = re.findall(r"<svg[^>]*aria-label=\"(.*?)\"", page)
    assert len(titles) == 5
    assert not any("real" in title or "split" in title or "appearance" in title for title in titles)


def test_generators_stand_by_their_first_appearance_in_quarters_or_years(builder: Builder, tmp_path: Path) -> None:
    def charted(months: list[str]) -> list[str]:
        generators = [generated(number, created_at=month) for number, month in enumerate(months)]
        page = written(builder.workspace, generators, [image_of(row) for row in generators])
        charts = look(page, tmp_path, CHARTS)["acted"]
        return charts["Generators by their repository's first appearance"]

    assert charted(["2023-01-05T00:00:00Z", "2023-03-05T00:00:00Z", "2024-12-31T00:00:00Z", "soon"]) == [
        "2", "2023 Q1", "1", "2024 Q4",
    ]  # fmt: skip
    months = [f"{year}-{month:02d}-01T00:00:00Z" for year in range(2020, 2024) for month in range(1, 13, 3)]
    assert charted(months) == ["4", "2020", "4", "2021", "4", "2022", "4", "2023"]


def test_ten_thousand_generators_are_a_page_that_opens(builder: Builder, tmp_path: Path) -> None:
    # As much detail as a picture may have before it is shrunk further: no page is heavier.
    number = scaled(10_000, 50_000)
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
    rows += [image_of(row, index) for row in evenly(sampled, SHEETS) for index in range(1, PICTURES + 3)]
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
    assert acted["shown"] == f"1–50 of {number:,}".replace(",", "\u2009")
    # The table's other rows are data, not elements.
    assert acted["elements"] < 40 * SHEETS * PICTURES


def test_of_many_generators_the_contact_sheet_shows_evenly_spaced_ones(builder: Builder) -> None:
    generators = [generated(number) for number in range(2 * SHEETS)]
    page = written(builder.workspace, generators, [image_of(row) for row in generators]).read_text()
    assert page.count("<article") == SHEETS
    shown = re.findall(r"<header><h3>org-\d+/generator-(\d+)</h3>", page)
    assert [int(number) for number in shown] == list(range(0, 2 * SHEETS, 2))
    assert f"{SHEETS} of {2 * SHEETS} generators" in page


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "TIFF"])
def test_large_images_are_shrunk_below_their_bound(builder: Builder, kind: str) -> None:
    content = io.BytesIO()
    Image.open(io.BytesIO(png(1, size=64))).resize((700, 500), Image.Resampling.BICUBIC).save(content, kind)
    picture = builder.workspace.root / "images" / "picture.png"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(content.getvalue())
    generator = generated(0)
    page = written(builder.workspace, [generator], [image_of(generator)]).read_text()
    (shown,) = re.findall(r'"data:image/webp;base64,([^"]*)"', page)
    assert 1000 < len(shown) * 3 / 4 <= PICTURE_BYTES


@pytest.mark.parametrize(
    "content",
    [
        b"\x89PNG damaged",
        png(1, 40)[:2000],
        png(1, 200)[:5000],
        b"",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    ],
)
def test_an_image_no_one_can_decode_is_left_out(builder: Builder, content: bytes) -> None:
    generator = builder.generator("org/painter", task="unconditional")
    builder.sample(generator, None)
    builder.sample(generator, None)
    workspace = builder.write()
    build(workspace)
    (workspace.images_of("org/painter") / "00000000.png").write_bytes(content)
    assert write_report(workspace).read_text().count("<img") == 1


def test_without_a_manifest_there_is_no_report(builder: Builder) -> None:
    with pytest.raises(UsageError):
        write_report(builder.workspace)


def test_too_many_bars_become_one_for_the_rest() -> None:
    chart = ranked("Licences", {f"licence {number:02d}": 100 - number for number in range(30)})
    assert len(chart.rows) == ROWS
    assert chart.rows[-1] == Row("19 others", (sum(range(71, 90)),), rest=True)
    assert sum(row.values[0] for row in chart.rows) == sum(range(71, 101))


def test_a_users_own_settings_of_matplotlib_change_no_chart(monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib

    chart = Chart("Shares", (Row("a", (0.25, 0.999)),), ("generated", "real"), shares=True)
    plain = chart.svg
    monkeypatch.setitem(matplotlib.rcParams, "font.weight", "bold")
    monkeypatch.setitem(matplotlib.rcParams, "path.sketch", (1, 100, 2))
    monkeypatch.setitem(matplotlib.rcParams, "svg.fonttype", "path")
    monkeypatch.setitem(matplotlib.rcParams, "figure.dpi", 300.0)
    assert chart.svg == plain
    assert matplotlib.rcParams["figure.dpi"] == 300


def test_all_and_nothing_are_said_only_where_they_are_meant() -> None:
    said = [percent(share).replace("\u00a0", " ") for share in (0, 0.0001, 0.014, 0.5, 0.9999, 1)]
    assert said == ["0 %", "<1 %", "1 %", "50 %", ">99 %", "100 %"]
