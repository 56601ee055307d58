import re
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from manifests.building import build
from manifests.choices import read_choices
from manifests.joining import sample_batches as parts
from manifests.manifest import ManifestRow, iterate_manifest, manifest_path, rows_by_split
from manifests.options import BuildOptions, PublishOptions
from manifests.publishing.publish import publish_dataset
from manifests.publishing.published import count_rows
from manifests.report import write_report
from manifests.tables.generators import RejectedRow, read_generators, rejected_path
from manifests.tables.withheld import WithheldRow, withheld_path
from samplers.outcomes import Outcome, write_outcome
from samplers.sample import Sample
from tests.manifests.making import Builder
from workspace import records
from workspace.errors import CommunityForensicsError, UsageError
from workspace.layout import Workspace, part_name


def publish_one(workspace: Workspace) -> object:
    """Publish it to a Hub that is never reached."""
    return publish_dataset(workspace, "org/name", PublishOptions(endpoint="http://127.0.0.1:9"))


def rows_of(workspace: Workspace) -> list[ManifestRow]:
    return records.read(manifest_path(workspace), ManifestRow)


def test_a_row_ties_an_image_to_its_generator_licence_caption_and_real_source(filled: Builder) -> None:
    workspace = filled.write()
    build(workspace)
    row = next(row for row in rows_of(workspace) if row.model_name == "org/painter" and row.index == 2)
    sample, prompt = filled.samples["org/painter"][2], filled.prompts["photos"][2]
    entry = filled.catalog[0]
    assert row == ManifestRow(
        image_name="00000002.png",
        label=1,
        subset="Systematic",
        split="train",
        model_name="org/painter",
        revision=entry.revision,
        index=2,
        architecture="LatDiff",
        license="creativeml-openrail-m",
        license_source="card",
        license_family="openrail",
        license_effective="creativeml-openrail-m",
        license_family_effective="openrail",
        hf_pipeline_tag="text-to-image",
        hf_diffusers_tag="StableDiffusionPipeline",
        task="text-to-image",
        kind="checkpoint",
        base_model="org/base",
        lineage=("org/base", "org/older"),
        prompt=prompt.prompt,
        caption_origin="dataset",
        real_source="photos",
        real_title="PHOTOS",
        real_id=prompt.real_id,
        real_sha256=prompt.real_sha256,
        seed=14,
        num_inference_steps=20,
        guidance_scale=7.5,
        scheduler="DDIMScheduler",
        dtype="float32",
        device="cpu",
        batch_size=4,
        call_size=4,
        libraries=sample.libraries,
        format="PNG",
        mode="RGB",
        width=16,
        height=16,
        file_size=sample.file_size,
        has_exif=False,
        has_icc=False,
        sha256=sample.sha256 or "",
        nsfw_flag=False,
        nsfw_score=row.nsfw_score,
        path="images/org--painter/00000002.png",
    )


def test_the_manifest_has_the_kept_images_and_the_real_images_whose_captions_were_used(filled: Builder) -> None:
    workspace = filled.write()
    built = build(workspace)
    rows = rows_of(workspace)
    assert Counter(row.model_name for row in rows if row.label == 1) == {
        "org/painter": 9,
        "org/sketcher": 9,
        "solo-dreamer": 4,  # the fifth equals the second
    }
    real = [row for row in rows if row.label == 0]
    assert [row.real_id for row in real if row.real_source == "photos"] == [f"folder/{n}.png" for n in range(6)]
    assert {row.architecture for row in real} == {"real"}
    assert all(row.sha256 == row.real_sha256 and row.model_name is None for row in real)
    assert (built.rows, built.kept, built.real) == (len(rows), 22, 9)


def test_rows_are_in_order_for_any_parts(filled: Builder) -> None:
    filled.samples["org/painter"].reverse()
    build(filled.write(rows_a_part=2))
    rows = rows_of(filled.workspace)
    generated = [(row.model_name or "", row.index or 0) for row in rows if row.label == 1]
    real = [(row.real_title or "", row.real_id or "") for row in rows if row.label == 0]
    assert [row.label for row in rows] == [1] * len(generated) + [0] * len(real)
    assert (generated, real) == (sorted(generated), sorted(real))


def test_generators_joined_in_several_batches_are_in_the_order_of_their_names(
    builder: Builder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "BATCH_ROWS", 12)
    # As folders, a--b would come before a-b--c; as names, a-b/c comes first.
    prompt = builder.real("photos", 1)
    for name in ("a/b", "a-b/c", "b", "a/z", "a.b/c"):
        generator = builder.generator(name)
        builder.sample(generator, prompt)
        builder.sample(generator, prompt, status="nsfw", nsfw_flag=True)
    built = build(builder.write(rows_a_part=1))
    rows = rows_of(builder.workspace)
    assert [row.model_name for row in rows] == ["a-b/c", "a.b/c", "a/b", "a/z", "b", None]
    assert all((row.tried, row.kept, row.nsfw) == (2, 1, 1) for row in built.generators)


def test_the_same_workspace_gives_the_same_bytes(fresh: Callable[[str], Builder], tmp_path: Path) -> None:
    written = []
    for name, rows_a_part in (("one", 3), ("two", 50)):
        builder = fresh(name)
        # The same machine has the real images at one place; here each workspace has its own.
        (tmp_path / "real").unlink(missing_ok=True)
        (tmp_path / "real").symlink_to(tmp_path / name / "real")
        for source, prompts in builder.prompts.items():
            places = [prompt.real_path.replace(f"{tmp_path}/{name}", str(tmp_path)) for prompt in prompts]
            builder.prompts[source] = [
                replace(prompt, real_path=place) for prompt, place in zip(prompts, places, strict=True)
            ]
        workspace = builder.write(rows_a_part)
        build(workspace)
        build(workspace)
        written.append({path.name: path.read_bytes() for path in workspace.manifest.iterdir()})
    assert written[0] == written[1]
    assert sorted(written[0]) == ["generators.csv", "generators.parquet", "manifest.parquet", "rejected.parquet"]


def test_the_size_of_a_batch_and_of_a_call_are_two_columns(builder: Builder) -> None:
    builder.sample(builder.generator("org/painter"), builder.real("photos", 1), batch_size=8, call_size=2)
    build(builder.write())
    assert [(row.batch_size, row.call_size) for row in rows_of(builder.workspace)] == [(8, 2), (None, None)]


def test_a_workspace_without_prompts_is_one_of_unconditional_generators(builder: Builder) -> None:
    generator = builder.generator("org/dreamer", task="unconditional")
    builder.sample(generator, None)
    assert build(builder.write()).rows == 1


def test_every_generator_of_the_catalogue_has_a_row_with_its_results(filled: Builder) -> None:
    workspace = filled.write()
    build(workspace)
    rows = {row.model_name: row for row in read_generators(workspace)}
    assert len(rows) == 5
    painter = rows["org/painter"]
    assert (painter.tried, painter.kept, painter.nsfw, painter.nan, painter.blank) == (11, 9, 1, 1, 0)
    assert (painter.outcome, painter.outcome_detail) == ("done", "how it done")
    assert (rows["solo-dreamer"].kept, rows["solo-dreamer"].duplicate) == (4, 1)
    assert (rows["org/broken"].status, rows["org/broken"].reason, rows["org/broken"].outcome) == (
        "incompatible",
        "pickle-only",
        None,
    )
    assert (rows["org/crashing"].outcome, rows["org/crashing"].kept) == ("crashed", 0)
    csv = workspace.manifest / "generators.csv"
    with duckdb.connect() as connection:
        total = connection.execute("SELECT count(*), sum(kept) FROM read_csv(?)", [str(csv)]).fetchone()
    assert total == (5, 22)
    rejected = records.read(rejected_path(workspace), RejectedRow)
    assert [(row.model_name, row.status, row.tries) for row in rejected] == [
        ("org/painter", "nsfw", 1),
        ("org/painter", "nan", 1),
        ("solo-dreamer", "duplicate", 1),
    ]


def test_an_outcome_of_another_revision_is_ignored(filled: Builder) -> None:
    workspace = filled.write()
    write_outcome(workspace, Outcome(model_name="org/sketcher", revision="another", status="done", kept=99, tries=99))
    build(workspace)
    assert [row.outcome for row in read_generators(workspace)[:2]] == ["done", None]


def test_an_invalid_outcome_is_named(filled: Builder) -> None:
    workspace = filled.write()
    workspace.outcome_of("org/painter").write_text("[half")
    (line,) = build(workspace).damaged
    assert re.search(r"outcomes/org--painter.json is damaged or of another version.*remove it", line)


def test_without_samples_the_error_names_the_command_to_run(builder: Builder) -> None:
    with pytest.raises(UsageError, match="cf-crawl"):
        build(builder.workspace)
    builder.generator("org/painter")
    with pytest.raises(UsageError, match="cf-sample"):
        build(builder.write())


def test_a_part_of_another_version_is_refused(filled: Builder) -> None:
    workspace = filled.write()
    part = workspace.samples_of("org/painter") / part_name(0)
    records.write_table(part, records.read_table(part, Sample).drop_columns(["seed"]))
    with pytest.raises(UsageError, match="lacks seed"):
        build(workspace)


def test_records_of_the_former_version_are_refused_and_not_misread(filled: Builder) -> None:
    """That one had no call_size in its samples."""
    workspace = filled.write()
    part = workspace.samples_of("org/painter") / part_name(1)
    records.write_table(part, records.read_table(part, Sample).drop_columns(["call_size"]))
    with pytest.raises(UsageError, match=r"part-00001.parquet was written by another version .*; it lacks call_size"):
        build(workspace)


@pytest.mark.parametrize("read", [iterate_manifest, rows_by_split, write_report, count_rows, publish_one])
def test_a_manifest_of_the_former_version_is_refused_and_not_misread(
    filled: Builder, read: Callable[[Workspace], object]
) -> None:
    """In that one, real_source was the published title."""
    workspace = filled.write()
    build(workspace)
    path = manifest_path(workspace)
    table = pq.read_table(path)
    titled = table.drop_columns(["real_source", "call_size"]).rename_columns({"real_title": "real_source"})
    pq.write_table(titled, path)
    with pytest.raises(UsageError, match=r"another version: run `cf-build-manifest` again"):
        list(read(workspace))  # type: ignore[call-overload]
    build(workspace)
    list(iterate_manifest(workspace))


def test_a_list_of_the_former_version_is_refused(filled: Builder) -> None:
    workspace = filled.write()
    build(workspace, BuildOptions(edition="public"))
    path = withheld_path(workspace)
    pq.write_table(pq.read_table(path).drop_columns(["real_source"]), path)
    with pytest.raises(UsageError, match=r"withheld.parquet was written by another version"):
        publish_one(workspace)


def test_names_with_pattern_characters_are_only_names(fresh: Callable[[str], Builder]) -> None:
    assert build(fresh("a [b]*? c").write()).kept == 22


def test_an_invalid_amount_of_memory_is_refused(filled: Builder) -> None:
    with pytest.raises(UsageError, match="--memory 'plenty'"):
        build(filled.write(), BuildOptions(memory="plenty"))


def test_the_manifest_is_read_in_batches_and_its_absence_names_the_command(filled: Builder) -> None:
    workspace = filled.write()
    with pytest.raises(UsageError, match="cf-build-manifest"):
        next(iterate_manifest(workspace))
    build(workspace)
    batches = list(iterate_manifest(workspace, batch_rows=10))
    assert max(batch.num_rows for batch in batches) <= 10
    assert sum(batch.num_rows for batch in batches) == 31


def test_a_failed_build_leaves_the_manifest_as_it_was(filled: Builder) -> None:
    workspace = filled.write()
    build(workspace)
    before = {path.name: path.read_bytes() for path in workspace.manifest.iterdir()}
    shutil.rmtree(workspace.images)
    with pytest.raises(CommunityForensicsError):
        build(workspace)
    assert {path.name: path.read_bytes() for path in workspace.manifest.iterdir()} == before


def test_columns_carry_their_documentation_into_the_file(filled: Builder) -> None:
    workspace = filled.write()
    build(workspace)
    schema = pq.read_schema(manifest_path(workspace))
    assert all(field.metadata[b"doc"] for field in schema)


def test_every_column_is_in_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "manifest.md").read_text()
    assert [name for name in records.schema(ManifestRow).names if f"`{name}`" not in page] == []


def held_out(builder: Builder) -> Workspace:
    """Two families with prompts from the same two real images, one of which is in two data sets."""
    related, other = (builder.generator(name, lineage=("org/base",)) for name in ("org/one", "org/two"))
    held = builder.generator("org/held", lineage=(), base_model=None)
    photos = [builder.real("photos", number) for number in range(4)]
    copy = builder.real(
        "copies", 9, real_sha256=photos[1].real_sha256, real_path=photos[1].real_path, real_id="elsewhere/1.png"
    )
    for generator in (related, other):
        for photo in (photos[0], copy, photos[2]):
            builder.sample(generator, photo)
    for photo in (photos[0], photos[1]):
        builder.sample(held, photo)
    builder.sample(held, photos[2], status="nsfw", nsfw_flag=True)
    return builder.write()


def test_a_holdout_shares_no_real_image_with_training(builder: Builder) -> None:
    workspace = held_out(builder)
    build(workspace, BuildOptions(holdout=("name=org/held",)))
    rows = rows_of(workspace)
    splits = {(row.model_name, row.index): row.split for row in rows if row.label == 1}
    assert splits == {
        ("org/held", 0): "test",
        ("org/held", 1): "test",
        ("org/one", 0): None,
        ("org/one", 1): None,  # the same photograph in another data set
        ("org/one", 2): "train",
        ("org/two", 0): None,
        ("org/two", 1): None,
        ("org/two", 2): "train",
    }
    real = {(row.real_source, row.real_id): row.split for row in rows if row.label == 0}
    assert real == {
        ("copies", "elsewhere/1.png"): "test",
        ("photos", "folder/0.png"): "test",
        ("photos", "folder/2.png"): "train",
        ("photos", "folder/3.png"): "train",  # training has two generated images, and one prompted one
    }
    generators = {row.model_name: row.split for row in read_generators(workspace)}
    assert generators == {"org/one": "train", "org/two": "train", "org/held": "test"}
    assert read_choices(manifest_path(workspace)).holdout == ("name=org/held",)


def test_generators_related_to_a_holdout_are_in_neither_split(builder: Builder) -> None:
    workspace = held_out(builder)
    build(workspace, BuildOptions(holdout=("name=org/one",)))
    assert {row.model_name: row.split for row in rows_of(workspace) if row.label == 1 and row.index == 2} == {
        "org/one": "test",
        "org/two": None,
    }


def test_an_image_of_two_generators_names_the_other_and_makes_them_one(builder: Builder) -> None:
    one, two = (builder.generator(name, lineage=(), base_model=None) for name in ("org/one", "org/two"))
    prompt = builder.real("photos", 1)
    content = builder.picture("the same", 0)
    builder.sample(one, prompt, content=content)
    builder.sample(one, prompt)
    builder.sample(two, prompt, content=content)
    workspace = builder.write()
    build(workspace)
    said = {(row.model_name, row.index): row.also_by for row in rows_of(workspace) if row.label == 1}
    assert said == {("org/one", 0): ("org/two",), ("org/one", 1): None, ("org/two", 0): ("org/one",)}
    build(workspace, BuildOptions(holdout=("name=org/two",)))
    assert {row.model_name: row.split for row in rows_of(workspace) if row.label == 1} == {
        "org/one": None,
        "org/two": "test",
    }


def test_no_two_splits_share_a_real_image_or_a_caption(builder: Builder) -> None:
    """What several have belongs to test before validation, and to both before train."""
    trained, validated, tested = (
        builder.generator(name, lineage=(), base_model=None) for name in ("org/train", "org/val", "org/test")
    )
    photos = {
        name: builder.real("photos", number) for number, name in enumerate(["tested", "both", "validated", "own"])
    }
    said_of_tested, said_of_tested_too, said_of_validated = (
        builder.real("others", number, prompt=photos[name].prompt)
        for number, name in enumerate(["tested", "tested", "validated"])
    )
    for generator, prompts in (
        (tested, [photos["tested"], photos["both"]]),
        (validated, [photos["both"], photos["validated"], said_of_tested]),
        (trained, [photos["validated"], photos["own"], said_of_tested_too, said_of_validated]),
    ):
        for prompt in prompts:
            builder.sample(generator, prompt)
    built = build(builder.write(), BuildOptions(holdout=("name=org/test",), validation=("name=org/val",)))
    rows = rows_of(builder.workspace)
    splits = {(row.model_name, row.index): row.split for row in rows if row.label == 1}
    assert splits == {
        ("org/test", 0): "test",
        ("org/test", 1): "test",
        ("org/train", 0): None,
        ("org/train", 1): "train",
        ("org/train", 2): None,
        ("org/train", 3): None,
        ("org/val", 0): None,
        ("org/val", 1): "validation",
        ("org/val", 2): None,
    }
    assert [(row.real_source, row.real_id[7:-4], row.split) for row in rows if row.label == 0] == [
        ("others", "0", None),
        ("others", "1", None),
        ("others", "2", None),
        ("photos", "0", "test"),
        ("photos", "1", "test"),
        ("photos", "2", "validation"),
        ("photos", "3", "train"),
    ]
    assert list(built.lines())[1:] == [
        "generators: 1 train, 1 validation, 1 test, 0 in neither",
        "images: 2 train, 2 validation, 4 test, 8 in neither",
        "in neither: 5 generated images whose caption, its real image or the same picture is in another split too "
        "(`cf-sample --evaluation-prompts 0.1 --holdout ...` reserves captions for generators that are held out)",
        "in neither: 3 real images, with all images that were made of the captions",
    ]


def test_with_kin_ignored_relatives_train_but_not_with_the_same_picture(builder: Builder) -> None:
    held, twin, kin = (builder.generator(name) for name in ("org/held", "org/twin", "org/kin"))
    first, second, third = (builder.real("photos", number) for number in range(3))
    content = builder.picture("the same", 0)
    builder.sample(held, first, content=content)
    builder.sample(twin, second, content=content)
    builder.sample(twin, second)
    builder.sample(kin, third)
    workspace = builder.write()
    built = build(workspace, BuildOptions(holdout=("name=org/held",)))
    assert "in neither: 3 generated images of 2 generators related to some of another split" in "".join(built.lines())
    build(workspace, BuildOptions(holdout=("name=org/held",), kin="ignore"))
    rows = rows_of(workspace)
    assert {(row.model_name, row.index): row.split for row in rows if row.label == 1} == {
        ("org/held", 0): "test",
        ("org/kin", 0): "train",
        ("org/twin", 0): None,
        ("org/twin", 1): "train",
    }
    assert read_choices(manifest_path(workspace)).kin == "ignore"


def test_a_holdout_that_leaves_its_split_without_an_image_is_refused_in_numbers(builder: Builder) -> None:
    tested, validated, other = (
        builder.generator(name, lineage=(), base_model=None) for name in ("org/test", "org/val", "org/other")
    )
    builder.generator("org/unsampled")
    shared, own = builder.real("photos", 0), builder.real("photos", 1)
    builder.sample(tested, shared)
    builder.sample(validated, shared)
    builder.sample(other, own)
    workspace = builder.write()
    build(workspace)
    before = manifest_path(workspace).read_bytes()
    for options, said in (
        (BuildOptions(holdout=("name=org/unsampled",)), "--holdout name=org/unsampled: test has no image"),
        (
            BuildOptions(holdout=("name=org/test",), validation=("name=org/val",)),
            "--validation name=org/val: validation has no image; in neither: 1 generated image whose caption",
        ),
    ):
        with pytest.raises(UsageError, match=re.escape(said)):
            build(workspace, options)
        assert manifest_path(workspace).read_bytes() == before


def test_a_split_without_real_or_without_generated_images_is_told(builder: Builder) -> None:
    dreamer = builder.generator("org/dreamer", task="unconditional", lineage=(), base_model=None)
    other = builder.generator("org/other", lineage=(), base_model=None)
    builder.sample(dreamer, None)
    builder.sample(other, builder.real("photos", 0))
    workspace = builder.write()
    built = build(workspace, BuildOptions(holdout=("name=org/dreamer",), real_per_generated=0))
    assert list(built.lines())[1:] == [
        "generators: 1 train, 1 test, 0 in neither",
        "images: 2 train, 1 test, 0 in neither",
        "test has no real image beside its 1 generated image",
    ]
    built = build(workspace, BuildOptions(holdout=("name=org/dreamer", "name=org/other")))
    assert "train has no image" in built.lines()


def test_a_duplicate_of_the_evaluation_set_takes_no_caption_from_training(builder: Builder) -> None:
    """The held out generator's second image is not in the manifest, so nothing leaks by its caption."""
    held, other = (builder.generator(name, lineage=(), base_model=None) for name in ("org/held", "org/other"))
    first, second = builder.real("photos", 1), builder.real("photos", 2)
    content = builder.picture("the same", 0)
    builder.sample(held, first, content=content)
    builder.sample(held, second, content=content)
    builder.sample(other, second)
    build(builder.write(), BuildOptions(holdout=("name=org/held",)))
    rows = rows_of(builder.workspace)
    assert {(row.model_name, row.real_id): row.split for row in rows} == {
        ("org/held", first.real_id): "test",
        ("org/other", second.real_id): "train",
        (None, first.real_id): "test",
        (None, second.real_id): "train",
    }


def test_a_generator_that_an_edition_leaves_out_is_not_named_by_the_others(builder: Builder) -> None:
    one = builder.generator("org/one", license="mit", license_family="open")
    two = builder.generator("org/two", license=None, license_source="none", license_family="unknown")
    content, prompt = builder.picture("the same", 0), builder.real("photos", 1)
    for generator in (one, two):
        builder.sample(generator, prompt, content=content)
    build(builder.write(), BuildOptions(edition="public"))
    assert [(row.model_name, row.also_by) for row in rows_of(builder.workspace) if row.label] == [("org/one", None)]


def test_the_public_edition_has_what_may_be_passed_on_and_a_list_of_the_rest(filled: Builder) -> None:
    workspace = filled.write()
    built = build(workspace, BuildOptions(edition="public"))
    rows = rows_of(workspace)
    # The sketcher has no stated licence; the painter's prompts were captions of all nine real images.
    assert {row.model_name for row in rows if row.label == 1} == {"org/painter", "solo-dreamer"}
    assert {row.real_source for row in rows if row.label == 0} == {"photos"}
    assert all(row.redistributable for row in rows if row.label == 0)
    listed = records.read(withheld_path(workspace), WithheldRow)
    assert [(row.real_source, row.real_id, row.real_sha256, row.split) for row in listed] == [
        ("locked", prompt.real_id, prompt.real_sha256, "train") for prompt in filled.prompts["locked"]
    ]
    assert (built.kept, built.real, built.withheld) == (13, 6, 3)
    assert read_choices(manifest_path(workspace)).license_allow == ("family=open", "family=openrail")
    build(workspace, BuildOptions(edition="public", license_allow=("none",)))
    assert {row.model_name for row in rows_of(workspace) if row.label == 1} == {"org/sketcher"}


def test_the_full_edition_removes_the_list_of_a_public_one(filled: Builder) -> None:
    workspace = filled.write()
    build(workspace, BuildOptions(edition="public"))
    assert withheld_path(workspace).exists()
    build(workspace)
    assert not withheld_path(workspace).exists()
    assert {row.real_source for row in rows_of(workspace) if row.label == 0} == {"photos", "locked"}


@pytest.mark.parametrize(
    ("licenses", "message"),
    [
        ("mit,creativeml-openrail", "did you mean creativeml-openrail-m"),
        ("mit", "allows no generator that was sampled; .* creativeml-openrail-m \\(2\\), none \\(1\\)"),
    ],
)
def test_licences_that_are_none_or_leave_nothing_are_refused_before_the_manifest_is_touched(
    filled: Builder, licenses: str, message: str
) -> None:
    workspace = filled.write()
    build(workspace)
    before = {path: path.read_bytes() for path in workspace.manifest.rglob("*")}
    with pytest.raises(UsageError, match=message):
        build(workspace, BuildOptions(edition="public", license_allow=(licenses,)))
    assert {path: path.read_bytes() for path in workspace.manifest.rglob("*")} == before


def test_licences_are_chosen_for_the_public_edition_only() -> None:
    with pytest.raises(UsageError, match="add --edition public"):
        BuildOptions(license_allow=("mit",))


def test_prompts_of_the_former_version_give_the_same_manifest(filled: Builder) -> None:
    filled.prompts["photos"] = [replace(prompt, caption_origin="generated") for prompt in filled.prompts["photos"]]
    workspace = filled.write()
    build(workspace)
    now = manifest_path(workspace).read_bytes()
    # It wrote `blip` for every generated caption.
    filled.prompts["photos"] = [
        replace(prompt, caption_origin="blip")  # type: ignore[arg-type]
        for prompt in filled.prompts["photos"]
    ]
    build(filled.write())
    assert manifest_path(workspace).read_bytes() == now
