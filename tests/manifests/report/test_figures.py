import re
from pathlib import Path
from typing import Any

from manifests.stage import build_manifest
from tests.manifests.making import Builder
from tests.manifests.report.pages import charts_of, generated, image_of, written


def test_the_charts_show_their_numbers(report: Path, seen: dict[str, Any]) -> None:
    assert seen["acted"]["charts"] == charts_of(report)
    assert {title: sorted(said) for title, said in charts_of(report).items()} == {
        "Licences of the generators": ["1", "2", "creativeml-openrail-m", "none stated"],
        "Generators by architecture": ["1", "2", "LatDiff", "PixDiff"],
        "Images by architecture": ["18", "4", "LatDiff", "PixDiff"],
        "Generators by pipeline": ["3", "StableDiffusionPipeline"],
        "Generators by the Hub's task tag": ["3", "text-to-image"],
        "Generators by denoising steps": ["20", "3"],
        "Generators by size of their images": ["16 × 16", "3"],
        "Longest side, pixels": ["1 to 64", "100\u00a0%", "100\u00a0%", "generated", "real"],
        "Format and colour mode": sorted(
            ["PNG, RGB", "100\u00a0%", "0\u00a0%", "PNG, mode unknown", "0\u00a0%", "100\u00a0%", "generated", "real"]
        ),
        "Prompts used, by real source": ["3", "6", "LOCKED", "PHOTOS"],
        "Prompts used, by whose words they are": ["9", "the data set's own caption"],
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
        "images sampled": "25",
        "images kept": "22",
        "real images": "9",
        "rejected: nsfw": "1",
        "rejected: blank": "0",
        "rejected: nan": "1",
        "rejected: duplicate": "1",
        "made by several generators": "0",
        "duplicate real images": "0",
    }
    assert "<code>pickle-only</code>" in page
    assert "how it crashed" in page


def test_an_evaluation_set_is_counted_by_architecture(builder: Builder) -> None:
    splits: list[Any] = ["train", "train", "test", None]
    generators = [
        generated(number, split=split, architecture="PixDiff" if split == "test" else "LatDiff", kept=2)
        for number, split in enumerate(splits)
    ]
    rows = [image_of(row, index) for row in generators for index in range(2)]
    charts = charts_of(written(builder.workspace, generators, rows))
    legend = ["train", "evaluation", "neither"]
    assert sorted(charts["Generators by architecture and split"]) == sorted(
        ["2", "0", "0", "1", "1", "0", "LatDiff", "PixDiff", *legend]
    )
    assert sorted(charts["Images by architecture and split"]) == sorted(
        ["4", "0", "0", "2", "2", "0", "LatDiff", "PixDiff", *legend]
    )


def test_a_validation_set_is_a_bar_of_its_own(builder: Builder) -> None:
    splits: list[Any] = ["train", "validation", "test"]
    generators = [generated(number, split=split, kept=number + 1) for number, split in enumerate(splits)]
    rows = [image_of(row, index) for row in generators for index in range(row.kept)]
    charts = charts_of(written(builder.workspace, generators, rows))
    assert sorted(charts["Images by architecture and split"]) == sorted(
        ["1", "2", "3", "0", "LatDiff", "train", "validation", "evaluation", "neither"]
    )


def test_without_an_evaluation_set_or_real_images_the_page_says_so(builder: Builder) -> None:
    generator = generated(0, created_at=None)
    row = image_of(generator, real_source=None, real_title=None, real_id=None, prompt=None)
    page = written(builder.workspace, [generator], [row]).read_text()
    assert "--holdout architecture=PixDiff" in page
    assert "There are no real images to compare with" in page
    titles = re.findall(r"<svg[^>]*aria-label=\"(.*?)\"", page)
    assert len(titles) == 7
    assert not any("real" in title or "split" in title or "appearance" in title for title in titles)


def test_generators_are_counted_by_quarter_or_year_of_their_first_appearance(builder: Builder) -> None:
    def charted(months: list[str]) -> list[str]:
        generators = [generated(number, created_at=month) for number, month in enumerate(months)]
        page = written(builder.workspace, generators, [image_of(row) for row in generators])
        return charts_of(page)["Generators by their repository's first appearance"]

    assert charted(["2023-01-05T00:00:00Z", "2023-03-05T00:00:00Z", "2024-12-31T00:00:00Z", "soon"]) == [
        "2", "2023 Q1", "1", "2024 Q4",
    ]  # fmt: skip
    months = [f"{year}-{month:02d}-01T00:00:00Z" for year in range(2020, 2024) for month in range(1, 13, 3)]
    assert charted(months) == ["4", "2020", "4", "2021", "4", "2022", "4", "2023"]


def test_what_each_round_added_is_shown_where_there_are_several(filled: Builder) -> None:
    later = filled.generator("org/later", round=3)
    for number in range(2):
        filled.sample(later, filled.real("photos", 900 + number, round=3), round=3, seed=5000 + number)
    _, page = build_manifest(filled.write())
    charts = charts_of(page)
    of_rounds = {"2", "9", "22", "0", "generated", "real", "round 1", "round 2", "round 3"}
    assert set(charts["Images by round"]) == of_rounds
    assert {"compatible", "with images", "4", "3", "1"} <= set(charts["Generators by the round that added them"])
