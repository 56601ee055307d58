"""Two revisions of one repository are two generators, related to each other, wherever generators are counted."""

from itertools import product
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from manifests.audit.matching import matched_path
from manifests.building import Built, build
from manifests.exporting.export import export
from manifests.options import BuildOptions, ExportOptions
from manifests.publishing.layouts import layout_of
from manifests.publishing.packing import pack_shards
from manifests.publishing.planning import plan_shards
from manifests.stage import build_manifest
from manifests.tables.generators import RejectedRow, read_generators, rejected_path
from tests.manifests.making import Builder, rows_of
from tests.manifests.publishing.publishing import numbers_of
from tests.scale import scaled
from workspace import records
from workspace.errors import CommunityForensicsError
from workspace.layout import Workspace

OLD, NEW = "org/painter", "org/painter@" + "b" * 12


def _revised(builder: Builder) -> Builder:
    """A generator at two revisions, each with three images, one of which both made; and a stranger."""
    prompts = [builder.real("photos", number) for number in range(6)]
    old = builder.generator("org/painter", base_model=None, lineage=())
    new = builder.generator(
        "org/painter", base_model=None, lineage=(), revision="b" * 40, further_revision=True, round=2,
        architecture="PixDiff", license="mit", license_family="open",
    )  # fmt: skip
    stranger = builder.generator("org/stranger", base_model=None, lineage=())
    equal = builder.picture("both", 0)
    for index in range(3):
        builder.sample(old, prompts[index], equal if index == 1 else None)
        builder.sample(new, prompts[index], equal if index == 2 else None, round=2, seed=1000 + index)
        builder.sample(stranger, prompts[3 + index], seed=2000 + index)
    builder.sample(new, prompts[0], equal, round=2, seed=1003)
    builder.sample(new, prompts[0], status="nsfw", nsfw_flag=True, nsfw_score=0.2, round=2, seed=1004)
    return builder


@pytest.fixture
def revised(builder: Builder) -> Builder:
    return _revised(builder)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Its manifest with all for training, which tests only read; there are further photographs."""
    builder = _revised(Builder(Workspace.open(tmp_path_factory.mktemp("revised") / "workspace")))
    for number in range(10, 20):
        builder.real("photos", number)
    workspace, _ = built(builder)
    return workspace


def built(builder: Builder, **options: object) -> tuple[Workspace, Built]:
    workspace = builder.write(rows_a_part=2)
    return workspace, build(workspace, BuildOptions(**options))  # type: ignore[arg-type]


def test_each_revision_has_rows_of_its_own_with_its_own_facts(plain: Workspace) -> None:
    workspace = plain
    rows = [row for row in rows_of(workspace) if row.model_name == "org/painter"]
    assert [(row.generator, row.index, row.round, row.license, row.architecture) for row in rows] == [
        *((OLD, index, 1, "creativeml-openrail-m", "LatDiff") for index in range(3)),
        *((NEW, index, 2, "mit", "PixDiff") for index in range(3)),
    ]
    assert {row.path.split("/")[1] for row in rows} == {"org--painter", "org--painter@" + "b" * 12}
    # The picture that both made: the later one names the earlier, whose row was there before.
    assert [(row.generator, row.also_by) for row in rows if row.sha256 == rows[1].sha256] == [
        (OLD, None),
        (NEW, (OLD,)),
    ]


def test_each_revision_is_counted_by_itself(plain: Workspace) -> None:
    workspace = plain
    generators = {row.generator: row for row in read_generators(workspace)}
    assert (generators[OLD].kept, generators[OLD].tried, generators[OLD].round) == (3, 3, 1)
    assert (generators[NEW].kept, generators[NEW].tried, generators[NEW].round) == (3, 5, 2)
    assert (generators[NEW].duplicate, generators[NEW].nsfw, generators[OLD].nsfw) == (1, 1, 0)
    assert generators[NEW].outcome_detail == "how it done"
    rejected = records.read(rejected_path(workspace), RejectedRow)
    assert {(row.generator, row.status) for row in rejected} == {(NEW, "nsfw"), (NEW, "duplicate")}
    numbers = numbers_of(workspace)
    assert (numbers.generators, numbers.generated) == (3, 9)
    assert {(name, generators) for name, _, _, generators, _ in numbers.licenses} == {
        ("creativeml-openrail-m", 2),
        ("mit", 1),
    }


NAME, KIND = "name=org/painter", "architecture=PixDiff"


@pytest.mark.parametrize(
    ("holdout", "kin"),
    scaled([(NAME, "separate"), (KIND, "ignore")], [*product((NAME, KIND), ("separate", "ignore"))]),
)
def test_both_revisions_are_on_one_side(revised: Builder, holdout: str, kin: str) -> None:
    workspace, _ = built(revised, holdout=(holdout,), kin=kin)
    splits = {(row.generator, row.split) for row in rows_of(workspace) if row.generator}
    assert splits == {(OLD, "test"), (NEW, "test"), ("org/stranger", "train")}
    assert {row.generator: row.split for row in read_generators(workspace)} == dict(splits)


def test_a_public_edition_decides_by_the_revisions_own_licence(revised: Builder) -> None:
    workspace, was = built(revised, edition="public", license_allow=("mit",))
    assert {row.generator for row in rows_of(workspace) if row.generator} == {NEW}
    assert was.unlicensed == 2


def test_a_damaged_part_costs_its_revision_only(revised: Builder) -> None:
    workspace = revised.write(rows_a_part=2)
    part = next(iter(sorted(workspace.samples_of(NEW).iterdir())))
    part.write_bytes(part.read_bytes()[:-40])
    was = build(workspace)
    assert {row.generator for row in rows_of(workspace) if row.generator} == {OLD, "org/stranger"}
    assert [line.split(" is left out")[0] for line in was.damaged] == [NEW]


def test_a_sample_of_one_revision_in_the_folder_of_the_other_is_found(revised: Builder) -> None:
    revised.change(NEW, 1, revision=revised.catalog[0].revision)
    with pytest.raises(CommunityForensicsError, match=r"sample is in the folder of another generator: org/painter #1"):
        built(revised)


def test_the_studys_layout_tells_them_apart(plain: Workspace, tmp_path: Path) -> None:
    workspace = plain
    layout = layout_of("community-forensics")
    shards = plan_shards(workspace, layout, 1 << 30)
    names = [
        name
        for _, path in pack_shards(workspace, layout, shards, tmp_path)
        for name in pq.read_table(path)["model_name"].to_pylist()
    ]
    assert {name: names.count(name) for name in (OLD, NEW, "org/stranger")} == {OLD: 3, NEW: 3, "org/stranger": 3}


def test_each_has_a_folder_of_its_own_in_an_export(plain: Workspace, tmp_path: Path) -> None:
    export(plain, tmp_path / "tree", ExportOptions(layout="imagefolder-generators"))
    folders = {path.name for path in (tmp_path / "tree").rglob("*") if path.is_dir() and "painter" in path.name}
    assert folders == {"org--painter", "org--painter_" + "b" * 12}


def test_the_report_and_the_matched_subset_name_them(revised: Builder) -> None:
    workspace = revised.write()
    _, page = build_manifest(workspace, BuildOptions(matched=True))
    text = page.read_text()
    assert f"/org/painter/tree/{'b' * 12}" in text
    assert text.count(f"<h3>{OLD}</h3>") == text.count(f"<h3>{NEW}</h3>") == 1
    assert set(pq.read_table(matched_path(workspace))["generator"].to_pylist()) <= {OLD, NEW, "org/stranger", None}
