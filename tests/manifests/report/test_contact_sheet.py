import base64
import io
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
from PIL import Image

from manifests.building import build
from manifests.report import write_report
from manifests.report.contact_sheet import FURTHER, PICTURES, PICTURES_OF_FEW, SHEETS
from manifests.report.thumbnails import PICTURE_BYTES
from tests.browser import look
from tests.manifests.making import Builder, png
from tests.manifests.report.pages import PAGE_BYTES, generated, image_of, real_image, written
from workspace.layout import Workspace


def test_the_contact_sheet_can_be_searched_and_shows_the_origin_of_a_picture(report: Path, tmp_path: Path) -> None:
    seen = look(
        report,
        tmp_path,
        """
        const search = (text) => {
            type("#search-pictures", text);
            return [find("#pictures-shown").textContent, visible(".sheet").length, visible(".sheet img").length];
        };
        const states = ["", "painter", "pixdiff", "creativeml folder/3.png", "seed 21", "locked"].map(search);
        search("painter folder/3.png");
        const figure = visible(".sheet figure")[0];
        const before = figure.querySelector("dl").checkVisibility();
        figure.querySelector("summary").click();
        return {states, before, origin: figure.querySelector("dl").innerText}""",
    )
    assert seen["acted"]["states"] == [
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


def test_of_many_generators_the_contact_sheet_shows_evenly_spaced_ones(builder: Builder) -> None:
    generators = [generated(number) for number in range(2 * SHEETS)]
    page = written(builder.workspace, generators, [image_of(row) for row in generators]).read_text()
    assert page.count("<article") == SHEETS
    assert SHEETS * PICTURES * PICTURE_BYTES * 4 / 3 < PAGE_BYTES
    shown = re.findall(r"<header><h3>org-\d+/generator-(\d+)</h3>", page)
    assert [int(number) for number in shown] == list(range(0, 2 * SHEETS, 2))
    assert f"{SHEETS} of {2 * SHEETS} generators" in page


def test_large_images_are_shrunk_below_their_bound(builder: Builder) -> None:
    large = Image.open(io.BytesIO(png(1, size=64))).resize((700, 500), Image.Resampling.BICUBIC)
    kinds = ("PNG", "JPEG", "GIF", "TIFF")
    folder = builder.workspace.root / "images"
    folder.mkdir(exist_ok=True)
    for kind in kinds:
        large.save(folder / kind, kind)
    generator = generated(0)
    rows = [image_of(generator, index, path=f"images/{kind}") for index, kind in enumerate(kinds)]
    page = written(builder.workspace, [generator], rows).read_text()
    shown = re.findall(r'"data:image/webp;base64,([^"]*)"', page)
    assert len(shown) == len(kinds)
    assert all(1000 < len(picture) * 3 / 4 <= PICTURE_BYTES for picture in shown)


UNDECODABLE = (
    b"\x89PNG damaged",
    png(1, 40)[:2000],
    png(1, 200)[:5000],
    b"",
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
)


def test_images_that_cannot_be_decoded_are_left_out(builder: Builder) -> None:
    assert len(UNDECODABLE) < PICTURES_OF_FEW
    generator = builder.generator("org/painter", task="unconditional")
    for _ in range(len(UNDECODABLE) + 1):
        builder.sample(generator, None)
    workspace = builder.write(rows_a_part=10)
    build(workspace)
    for number, content in enumerate(UNDECODABLE):
        (workspace.images_of("org/painter") / f"{number:08d}.png").write_bytes(content)
    page = write_report(workspace).read_text()
    assert page.count("<img") == 1
    assert f"../images/org--painter/{len(UNDECODABLE):08d}.png" in page


def shown(builder: Builder, content: bytes, **changes: Any) -> "np.typing.NDArray[np.uint8]":
    """The pixels that the page shows of a real image with this content."""
    picture = builder.workspace.root / "images" / "picture.png"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(content)
    page = written(builder.workspace, [], [real_image(1, **changes)]).read_text()
    (uri,) = re.findall(r'src="data:image/[a-z]*;base64,([^"]*)"', page)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri))).convert("RGB"))


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def test_a_thumbnail_is_upright_as_its_exif_data_say(builder: Builder) -> None:
    sides = Image.fromarray(np.repeat([[[255, 0, 0], [0, 0, 255]]], 20, axis=0).repeat(20, axis=1).astype(np.uint8))
    exif = sides.getexif()
    exif[274] = 6  # turned by 90 degrees: the left side is above
    pixels = shown(builder, encoded(sides, "JPEG", exif=exif, quality=100))
    assert pixels.shape == (40, 20, 3)
    assert pixels[5, 10, 0] > 200 > 50 > pixels[5, 10, 2]


def test_a_thumbnail_of_16_bits_is_scaled_and_a_transparent_one_is_on_white(builder: Builder) -> None:
    deep = np.linspace(0, 65535, 400).astype(np.uint16).reshape(20, 20)
    pixels = shown(builder, encoded(Image.fromarray(deep)))
    assert (pixels.min(), pixels.max(), pixels[10, 0, 0]) == (0, 255, 128)


def test_a_transparent_thumbnail_is_on_white(builder: Builder) -> None:
    assert (shown(builder, encoded(Image.new("RGBA", (20, 20), (9, 9, 9, 0)))) == 255).all()


def test_each_picture_has_a_link_to_its_file_and_further_ones_are_shown_on_demand(
    report: Path, reported: Workspace
) -> None:
    seen = look(
        report,
        report.parent,
        """
        const sheet = find(".sheet"), before = sheet.querySelectorAll("img").length;
        const button = sheet.querySelector(".more button"), said = sheet.querySelector(".more").textContent;
        button.click();
        return {before, said, after: [...sheet.querySelectorAll(".pictures a img")].map(image => image.src),
            links: all(".origin a").map(link => link.href), button: sheet.querySelector(".more button")}""",
    )
    (report.parent / "probed.html").unlink()
    acted = seen["acted"]
    assert (acted["before"], acted["button"]) == (PICTURES_OF_FEW, None)
    assert "Show 1 more" in acted["said"]
    assert "1 more image in images/org--painter/" in " ".join(acted["said"].split())
    further = reported.images_of("org/painter") / f"{PICTURES_OF_FEW:08d}.png"
    assert acted["after"] == [further.as_uri()]
    assert all(Path(unquote(link.removeprefix("file://"))).is_file() for link in acted["links"])
    assert len(acted["links"]) == 2 * PICTURES_OF_FEW + 4 + 6
    assert (seen["errors"], seen["violations"]) == ([], [])


def test_further_pictures_are_bounded_and_those_inside_parquet_files_have_no_link(builder: Builder) -> None:
    generator = generated(0, kept=100)
    inside = generated(1, kept=20)
    rows = [image_of(generator, index, path=f"images/a/{index:08d}.png") for index in range(100)]
    rows += [image_of(inside, index, path=f"samples/a/part-00000.parquet#{index:08d}.png") for index in range(20)]
    page = written(builder.workspace, [generator, inside], rows).read_text()
    assert f"Show {FURTHER} more" in page
    assert page.count("../images/a/") == FURTHER + 1  # and the folder
    assert "20 more images in the Parquet files of samples/" in " ".join(page.split())
