import re
from collections import Counter
from pathlib import Path

import pytest

from manifests.building import build
from manifests.report import figures, write_report
from manifests.report.contact import PICTURES, SHEETS
from manifests.report.figures import BARS, bars
from tests.browser import look
from tests.manifests.making import Builder, png
from workspace.errors import UsageError


def test_a_browser_shows_every_image_and_asks_the_network_for_nothing(filled: Builder, tmp_path: Path) -> None:
    workspace = filled.write()
    build(workspace)
    report = look(write_report(workspace), tmp_path)
    # Six of each of two generators, the four of the third, and the six real images that may be passed on.
    assert report["images"] == report["decoded"] == report["enlarged"] == 2 * PICTURES + 4 + 6
    assert report["requests"] == 0
    assert not report["overflow"]
    assert report["height"] > 1000
    assert report["console"] == []


def test_the_page_names_nothing_outside_itself(filled: Builder) -> None:
    workspace = filled.write()
    build(workspace)
    page = write_report(workspace).read_text()
    assert not re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?(?!data:)[^"'\s>]""", page)
    assert "http" not in re.sub(r"base64,[^\"]*|http-equiv", "", page)


def test_the_page_counts_what_was_made(filled: Builder) -> None:
    workspace = filled.write()
    build(workspace)
    page = write_report(workspace).read_text()
    numbers = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page))
    assert numbers == {
        "generators found": "5",
        "compatible": "4",
        "sampled": "3",
        "images kept": "22",
        "real images": "9",
        "images tried": "25",
        "rejected: nsfw": "1",
        "rejected: blank": "0",
        "rejected: nan": "1",
        "rejected: duplicate": "1",
    }
    assert "<code>pickle-only</code>" in page
    assert "<code>crashed</code>" in page


def test_what_strangers_wrote_is_text(builder: Builder) -> None:
    prompt = builder.real("photos", 1, prompt="</figcaption><script>alert(1)</script>")
    generator = builder.generator("org/painter", license='"><img src=x>')
    builder.sample(generator, prompt)
    workspace = builder.write()
    build(workspace)
    page = write_report(workspace).read_text()
    assert "<script" not in page
    assert "<img src=x" not in page


def test_of_many_generators_some_are_shown_and_the_reader_is_told_where_the_rest_is(
    builder: Builder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "TABLE_ROWS", 50)
    shared = png(1)
    for number in range(2 * SHEETS):
        builder.sample(builder.generator(f"org/generator-{number:05d}", outcome=None), None, content=shared)
    workspace = builder.write()
    build(workspace)
    page = write_report(workspace).read_text()
    assert page.count("<article") == SHEETS
    assert "<h3>org/generator-00000</h3>" in page
    assert "<h3>org/generator-00118</h3>" in page
    assert page.count("<td>org/generator-") == 50
    assert "The 50 most downloaded of 120; all of them are in <code>manifest/generators.csv</code>" in page


def test_large_images_are_shrunk(builder: Builder) -> None:
    generator = builder.generator("org/painter")
    builder.sample(generator, None, content=png(1, size=700), width=700, height=700)
    workspace = builder.write()
    build(workspace)
    page = write_report(workspace).read_text()
    assert len(page) < 100_000
    assert "data:image/webp" in page


def test_an_image_no_one_can_decode_is_left_out(builder: Builder) -> None:
    generator = builder.generator("org/painter")
    builder.sample(generator, None)
    builder.sample(generator, None)
    workspace = builder.write()
    build(workspace)
    (workspace.images_of("org/painter") / "00000000.png").write_bytes(b"\x89PNG damaged")
    assert write_report(workspace).read_text().count("<figure") == 1


def test_without_a_manifest_there_is_no_report(builder: Builder) -> None:
    with pytest.raises(UsageError):
        write_report(builder.workspace)


def test_too_many_bars_become_one_for_the_rest() -> None:
    chart = bars(Counter({f"licence {number:02d}": 100 - number for number in range(30)}))
    assert len(chart) == BARS
    assert chart[-1].name == "19 others"
    assert sum(bar.value for bar in chart) == sum(range(71, 101))
    assert chart[0].share <= 1 < chart[-1].share + 1
