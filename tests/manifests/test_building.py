import re
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from crawler.catalog import CatalogEntry
from manifests.building import build
from manifests.joining import sample_batches as parts
from manifests.manifest import ManifestRow, iterate_manifest, manifest_path, rows_by_split
from manifests.options import BuildOptions, PublishOptions
from manifests.publishing.publish import publish_dataset
from manifests.report import write_report
from manifests.tables.generators import RejectedRow, read_generators, rejected_path
from manifests.tables.withheld import withheld_path
from samplers.outcomes import Outcome, write_outcome
from samplers.sample import Sample
from tests.manifests.making import Builder, rows_of
from tests.manifests.publishing.publishing import counts_of
from workspace import records
from workspace.errors import CommunityForensicsError, UsageError
from workspace.layout import Workspace, part_name


def publish_one(workspace: Workspace) -> object:
    """Publish it to a Hub that is never reached."""
    return publish_dataset(workspace, "org/name", PublishOptions(endpoint="http://127.0.0.1:9"))


def test_a_row_ties_an_image_to_its_generator_licence_caption_and_real_source(
    filled: Builder, built: Workspace
) -> None:
    row = next(row for row in rows_of(built) if row.model_name == "org/painter" and row.index == 2)
    sample, prompt = filled.samples["org/painter"][2], filled.prompts["photos"][2]
    entry = filled.catalog[0]
    assert row == ManifestRow(
        image_name="00000002.png",
        label=1,
        subset="Systematic",
        split="train",
        round=1,
        generator="org/painter",
        model_name="org/painter",
        revision=entry.revision,
        origin="sampled",
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
        has_c2pa=False,
        sha256=sample.sha256 or "",
        nsfw_flag=False,
        nsfw_score=row.nsfw_score,
        path="images/org--painter/00000002.png",
    )


def test_the_manifest_has_the_kept_images_and_the_real_images_whose_captions_were_used(built: Workspace) -> None:
    rows = rows_of(built)
    assert Counter(row.model_name for row in rows if row.label == 1) == {
        "org/painter": 9,
        "org/sketcher": 9,
        "solo-dreamer": 4,  # the fifth equals the second
    }
    real = [row for row in rows if row.label == 0]
    assert [row.real_id for row in real if row.real_source == "photos"] == [f"folder/{n}.png" for n in range(6)]
    assert {row.architecture for row in real} == {"real"}
    assert all(row.sha256 == row.real_sha256 and row.model_name is None for row in real)
    assert (len(rows), len(real)) == (31, 9)


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
        if not written:
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


def test_every_generator_of_the_catalogue_has_a_row_with_its_results(built: Workspace) -> None:
    rows = {row.model_name: row for row in read_generators(built)}
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
    csv = built.manifest / "generators.csv"
    with duckdb.connect() as connection:
        total = connection.execute("SELECT count(*), sum(kept) FROM read_csv(?)", [str(csv)]).fetchone()
    assert total == (5, 22)
    rejected = records.read(rejected_path(built), RejectedRow)
    assert [(row.model_name, row.status, row.tries) for row in rejected] == [
        ("org/painter", "nsfw", 1),
        ("org/painter", "nan", 1),
        ("solo-dreamer", "duplicate", 1),
    ]


def test_an_outcome_of_another_revision_is_ignored_and_an_invalid_one_is_named(filled: Builder) -> None:
    workspace = filled.write()
    write_outcome(workspace, Outcome(model_name="org/sketcher", revision="another", status="done", kept=99, tries=99))
    workspace.outcome_of("org/painter").write_text("[half")
    (line,) = build(workspace).damaged
    assert re.search(r"outcomes/org--painter.json is damaged or of another version.*remove it", line)
    outcomes = {row.model_name: row.outcome for row in read_generators(workspace)}
    assert (outcomes["org/painter"], outcomes["org/sketcher"], outcomes["solo-dreamer"]) == (None, None, "done")


def test_without_samples_the_error_names_the_command_to_run(builder: Builder) -> None:
    with pytest.raises(UsageError, match="cf-crawl"):
        build(builder.workspace)
    builder.generator("org/painter")
    with pytest.raises(UsageError, match="cf-sample"):
        build(builder.write())


def test_parts_without_rows_are_no_samples(builder: Builder) -> None:
    workspace = builder.workspace
    records.write(workspace.samples_of("org/none") / part_name(0), Sample, [])
    records.write(workspace.catalog, CatalogEntry, [])
    with pytest.raises(UsageError, match=r"samples hold no samples: run `cf-sample` first"):
        build(workspace)


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


def test_a_manifest_of_the_former_version_is_refused_by_all_who_read_it_and_not_misread(ready: Workspace) -> None:
    """In that one, real_source was the published title."""
    workspace = ready
    path = manifest_path(workspace)
    table = pq.read_table(path)
    titled = table.drop_columns(["real_source", "call_size"]).rename_columns({"real_title": "real_source"})
    pq.write_table(titled, path)
    readers: list[Callable[[Workspace], Any]] = [iterate_manifest, rows_by_split, write_report, counts_of, publish_one]
    for read in readers:
        with pytest.raises(UsageError, match=r"another version: run `cf-build-manifest` again"):
            list(read(workspace))
    build(workspace)
    list(iterate_manifest(workspace))


def test_a_list_of_the_former_version_is_refused(filled: Builder) -> None:
    workspace = filled.write()
    build(workspace, BuildOptions(edition="public"))
    path = withheld_path(workspace)
    pq.write_table(pq.read_table(path).drop_columns(["real_source"]), path)
    with pytest.raises(UsageError, match=r"withheld.parquet was written by another version"):
        publish_one(workspace)


def test_an_invalid_amount_of_memory_is_refused(filled: Builder) -> None:
    with pytest.raises(UsageError, match="--memory 'plenty'"):
        build(filled.write(), BuildOptions(memory="plenty"))


def test_the_manifest_is_read_in_batches_and_its_absence_names_the_command(filled: Builder, built: Workspace) -> None:
    with pytest.raises(UsageError, match="cf-build-manifest"):
        next(iterate_manifest(filled.write()))
    batches = list(iterate_manifest(built, batch_rows=10))
    assert max(batch.num_rows for batch in batches) <= 10
    assert sum(batch.num_rows for batch in batches) == 31


def test_a_failed_build_leaves_the_manifest_as_it_was(built: Workspace, tmp_path: Path) -> None:
    workspace = Workspace(shutil.copytree(built.root, tmp_path / "copy"))
    before = {path.name: path.read_bytes() for path in workspace.manifest.iterdir()}
    shutil.rmtree(workspace.images)
    with pytest.raises(CommunityForensicsError):
        build(workspace)
    assert {path.name: path.read_bytes() for path in workspace.manifest.iterdir()} == before


def test_columns_carry_their_documentation_into_the_file(built: Workspace) -> None:
    schema = pq.read_schema(manifest_path(built))
    assert all(field.metadata[b"doc"] for field in schema)


def test_every_column_is_in_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "manifest.md").read_text()
    assert [name for name in records.schema(ManifestRow).names if f"`{name}`" not in page] == []
