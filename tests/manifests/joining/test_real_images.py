"""The real images of a manifest: which rows they are, and what a row says."""

from dataclasses import replace

import pytest

from manifests.building import build
from manifests.joining import real_images as real
from manifests.joining.join import open_records, write_manifest
from manifests.manifest import manifest_path
from manifests.options import BuildOptions
from manifests.splits import SplitAssignment
from manifests.tables.withheld import WithheldRow, withheld_path
from tests.manifests.making import Builder, own_prompt, rows_of
from tests.scale import scaled
from workspace import records
from workspace.layout import Workspace


def write_manifest_alone(workspace: Workspace) -> None:
    """The join without the checks, for rows whose files do not matter."""
    workspace.manifest.mkdir(exist_ok=True)
    with open_records(workspace) as connection:
        write_manifest(connection, manifest_path(workspace), SplitAssignment({"org/painter": "train"}))


def test_real_images_written_in_several_pieces_are_the_same_in_the_manifest_and_in_the_list(
    filled: Builder, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = filled.write()

    def real_rows(options: BuildOptions) -> tuple[list[object], list[object]]:
        build(workspace, options)
        path = withheld_path(workspace)
        listed = records.read(path, WithheldRow) if path.exists() else []
        return [row for row in rows_of(workspace) if row.label == 0], list(listed)

    editions = scaled([BuildOptions(edition="public")], [BuildOptions(), BuildOptions(edition="public")])
    at_once = [real_rows(options) for options in editions]
    monkeypatch.setattr(real, "ROW_GROUP_ROWS", 2)
    assert [real_rows(options) for options in editions] == at_once
    assert [(len(rows), len(listed)) for rows, listed in at_once] == scaled([(6, 3)], [(9, 0), (6, 3)])


def test_a_real_source_has_the_users_name_and_its_published_title(builder: Builder) -> None:
    """Rows are in the order of the titles; by the user's names they join with prompts/."""
    prompts = [builder.real("zoo", 1, real_title="Animals"), builder.real("art", 2, False, real_title="Works")]
    painter = builder.generator("org/painter")
    for prompt in prompts:
        builder.sample(painter, prompt)
    workspace = builder.write()
    build(workspace)
    rows = rows_of(workspace)
    assert [(row.label, row.real_source, row.real_title) for row in rows] == [
        (1, "zoo", "Animals"),
        (1, "art", "Works"),
        (0, "zoo", "Animals"),
        (0, "art", "Works"),
    ]
    by_name = {(prompt.real_source, prompt.real_id): prompt for prompt in prompts}
    assert all(by_name[row.real_source or "", row.real_id or ""].real_sha256 == row.real_sha256 for row in rows)
    build(workspace, BuildOptions(edition="public"))
    (listed,) = records.read(withheld_path(workspace), WithheldRow)
    assert (listed.real_source, listed.real_title) == ("art", "Works")


def test_a_real_image_has_its_first_used_caption_and_an_unused_one_its_first_by_round_and_id(builder: Builder) -> None:
    used, unused = builder.real("photos", 1), builder.real("photos", 2, prompt_id="photos/y")
    captions = {name: replace(used, prompt_id=f"photos/{name}", prompt=f"caption {name}") for name in "abc"}
    further = replace(unused, prompt_id="photos/x", prompt="earlier by id, of a later round", round=2)
    builder.prompts["photos"] = [captions["c"], further, captions["a"], unused, captions["b"]]
    painter = builder.generator("org/painter")
    for made_in, index, name in ((1, 0, "c"), (1, 1, "b"), (2, 2, "a")):
        builder.sample(painter, captions[name], index=index, round=made_in)
    build(builder.write())
    real_rows = [(row.prompt, row.prompted) for row in rows_of(builder.workspace) if not row.label]
    assert real_rows == [("caption b", True), (unused.prompt, False)]


def test_a_real_image_in_two_sources_of_one_title_is_one_row_that_names_the_other(builder: Builder) -> None:
    first = builder.real("coco-val", 1, real_title="COCO")
    again = replace(first, real_source="coco-2017", prompt_id="coco-2017/1")
    builder.prompts["coco-2017"] = [again]
    painter = builder.generator("org/painter")
    for prompt in (first, again):
        builder.sample(painter, prompt)
    build(builder.write())
    assert [(row.label, row.real_source, row.also_in) for row in rows_of(builder.workspace)] == [
        (1, "coco-val", None),
        (1, "coco-2017", None),
        (0, "coco-2017", (f"coco-val/{first.real_id}",)),
    ]


def test_an_image_with_several_captions_is_one_real_row(filled: Builder) -> None:
    first = filled.prompts["photos"][0]
    second = replace(first, prompt_id=f"{first.prompt_id}#1", prompt="another caption")
    filled.prompts["photos"].append(second)
    filled.sample(filled.catalog[0], second)
    build(filled.write())
    assert sum(row.label == 0 and row.real_id == first.real_id for row in rows_of(filled.workspace)) == 1


def test_a_real_row_has_the_facts_of_its_file_as_prompts_have_them(builder: Builder) -> None:
    photo = builder.real(
        "photos", 1, real_format="JPEG", real_file_size=4321, real_jpeg_quality=87, real_chroma_subsampling="4:2:0",
        real_progressive=True, real_has_exif=True, real_has_icc=False, real_mode="CMYK",
    )  # fmt: skip
    builder.sample(builder.generator("org/painter"), photo)
    workspace = builder.write()
    write_manifest_alone(workspace)
    drawn, real = rows_of(workspace)
    assert (real.file_size, real.jpeg_quality, real.chroma_subsampling, real.progressive) == (4321, 87, "4:2:0", True)
    assert (real.has_exif, real.has_icc, real.prompted) == (True, False, True)
    assert (drawn.jpeg_quality, drawn.chroma_subsampling, drawn.progressive) == (None, None, None)
    assert (drawn.has_exif, drawn.has_icc, drawn.prompted) == (False, False, None)


def test_a_prompt_without_a_real_image_gives_no_real_row_and_keeps_its_name(builder: Builder) -> None:
    photo = builder.real("photos", 1)
    own = [own_prompt("words", number) for number in range(3)]
    builder.prompts["words"] = own
    painter = builder.generator("org/painter")
    for prompt in (photo, *own):
        builder.sample(painter, prompt)
    build(builder.write())
    rows = rows_of(builder.workspace)
    assert [
        (row.real_source, row.real_title, row.real_id, row.real_sha256, row.caption_origin) for row in rows[1:4]
    ] == [("words", "words", None, None, "user")] * 3
    assert [(row.label, row.real_source) for row in rows[4:]] == [(0, "photos")]


def test_a_workspace_of_own_prompts_alone_has_no_real_rows_and_says_so(builder: Builder) -> None:
    builder.prompts["words"] = [own_prompt("words", number) for number in range(3)]
    painter, held = builder.generator("org/painter"), builder.generator("org/held", lineage=(), base_model=None)
    for prompt in builder.prompts["words"]:
        builder.sample(painter, prompt)
        builder.sample(held, prompt)
    built = build(builder.write())
    assert (built.kept, built.real) == (6, 0)
    assert any(line.startswith("6 real images fewer than --real-per-generated 1 asks for") for line in built.lines())
    assert built.real_images.missing == {"train": 6}
