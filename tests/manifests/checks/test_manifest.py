"""Damage to a finished manifest is found and named, and nothing of it is published."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from manifests.building import build
from manifests.checks import check_manifest
from manifests.choices import Choices
from manifests.manifest import FAKE, REAL, ManifestRow, manifest_path
from manifests.options import BuildOptions
from manifests.publishing.publish import publish_dataset
from manifests.tables.generators import read_generators, write_generators
from manifests.tables.withheld import WithheldRow, existing_list, withheld_path
from tests.manifests.making import Builder, fill
from tests.scale import scaled
from workspace import records
from workspace.errors import CommunityForensicsError
from workspace.layout import Workspace

Rows = list[ManifestRow]
TESTED = BuildOptions(holdout=("name=solo-dreamer",))
PUBLIC = BuildOptions(edition="public")


def rewritten(workspace: Workspace, rows: Rows, options: BuildOptions) -> None:
    table = records.to_table(ManifestRow, rows).replace_schema_metadata(Choices.of(options).metadata())
    records.write_table(manifest_path(workspace), table)


def failures(workspace: Workspace) -> list[str]:
    found = check_manifest(workspace, manifest_path(workspace), existing_list(workspace), read_generators(workspace))
    return [str(failure) for failure in found]


def changed(which: Callable[[ManifestRow], bool], **changes: Any) -> Callable[[Rows], Rows]:
    """The first row of which `which` holds, changed."""

    def change(rows: Rows) -> Rows:
        at = next(at for at, row in enumerate(rows) if which(row))
        return [*rows[:at], replace(rows[at], **changes), *rows[at + 1 :]]

    return change


def painted(row: ManifestRow) -> bool:
    return row.model_name == "org/painter"


def sketched(row: ManifestRow) -> bool:
    return row.model_name == "org/sketcher"


def dreamt(row: ManifestRow) -> bool:
    return row.model_name == "solo-dreamer"


def real(row: ManifestRow) -> bool:
    return row.label == REAL


def with_an_image_of_both(rows: Rows) -> Rows:
    sha256 = next(row.sha256 for row in rows if dreamt(row))
    return changed(painted, sha256=sha256, also_by=("solo-dreamer",))(changed(dreamt, also_by=("org/painter",))(rows))


def with_an_image_of_three(rows: Rows) -> Rows:
    sha256 = next(row.sha256 for row in rows if dreamt(row))
    for which in (painted, sketched, dreamt):
        rows = changed(which, sha256=sha256, also_by=("org/another",))(rows)
    return rows


DAMAGE: dict[str, tuple[Callable[[Rows], Rows], str]] = {
    "a row twice": (lambda rows: [rows[0], *rows], r"1 generated image is duplicated: org/painter #0"),
    "a lost row": (
        lambda rows: rows[1:],
        r"1 generator has another number of images than generators.parquet says: org/painter",
    ),
    "a generator from nowhere": (
        lambda rows: [replace(row, generator="org/new", model_name="org/new") if dreamt(row) else row for row in rows],
        r"2 generators have another number of images.*: org/new, solo-dreamer",
    ),
    "a generator that is not its repository's": (
        changed(painted, generator="org/other"),
        r"1 row has a generator that is not made from its repository and commit: org/other #0",
    ),
    "a flagged row": (changed(painted, nsfw_flag=True), r"1 image is flagged, or not checked: org/painter #0"),
    "a row that was never checked": (changed(painted, nsfw_flag=None), r"1 image is flagged.*: org/painter #0"),
    "a label that is none": (changed(painted, label=2), r"1 row has an unknown label or split: org/painter #0"),
    "a split that is none": (changed(painted, split="dev"), r"1 row has an unknown label or split: org/painter #0"),
    "a row without its seed": (
        changed(painted, seed=None),
        r"1 row lacks the columns that say where its image comes from: org/painter #0",
    ),
    "a sha256 that is none": (changed(painted, sha256="0"), r"1 row has an invalid sha256: org/painter #0"),
    "a subset that is none": (changed(painted, subset="Other"), r"1 row has an unknown subset: org/painter #0"),
    "a real image of another subset": (
        changed(real, subset="Systematic"),
        r"1 row has an unknown subset: locked: folder/100.png",
    ),
    "a real image of an architecture": (
        changed(real, architecture="LatDiff"),
        r"1 real image names a generator: locked: folder/100.png",
    ),
    "a real image without a title": (
        changed(real, real_title=None),
        r"1 row lacks the columns that say where its image comes from: locked: folder/100.png",
    ),
    "an image of three generators that names one": (
        with_an_image_of_three,
        r"1 image was made by several generators, but also_by does not name them: [0-9a-f]{64}",
    ),
    "a licence from nowhere": (
        changed(painted, license_source="none"),
        r"1 row has a licence without a source.*painter #0",
    ),
    "a real image of a generator": (
        changed(real, model_name="org/painter"),
        r"1 real image names a generator: locked: folder/100.png",
    ),
    "a real image of another sha256": (
        changed(real, sha256="0" * 64),
        r"1 real image has another sha256 than in its data set: locked: folder/100.png",
    ),
    "a prompted real image that says it is not": (
        changed(real, prompted=False),
        r"1 real image is wrongly said to be prompted, or not to be: locked: folder/100.png",
    ),
    "a generated image in a data set": (
        changed(painted, also_in=("photos/1",)),
        r"1 generated row has columns of real images: org/painter #0",
    ),
    "a real image twice": (
        lambda rows: [*rows, rows[-1]],
        r"1 real image is duplicated: photos: folder/5.png",
    ),
    "a real image lost": (
        lambda rows: rows[:-1],
        r"1 real image of prompts is neither in the manifest nor in the list of withheld ones: photos: folder/5.png",
    ),
    "an image of two generators": (
        lambda rows: changed(sketched, sha256=rows[0].sha256)(rows),
        r"1 image was made by several generators, but also_by does not name them: [0-9a-f]{64}",
    ),
    "a generator in the other split": (
        lambda rows: [replace(row, split="train") if dreamt(row) else row for row in rows],
        r"1 generator is in another split than generators.parquet says: solo-dreamer",
    ),
    "leaked lineage": (
        changed(dreamt, lineage=("org/older",)),
        r"1 ancestor is shared by train and test: org/older",
    ),
    "a leaked base model": (
        changed(dreamt, base_model="org/base"),
        r"1 ancestor is shared by train and test: org/base",
    ),
    "a leaked generator": (
        changed(dreamt, split="train"),
        r"1 ancestor is shared by train and test: solo-dreamer",
    ),
    "a lineage that leaked to validation": (
        changed(sketched, split="validation"),
        r"3 ancestors are shared by train and validation: org/base, org/older, org/sketcher",
    ),
    "a leaked image": (with_an_image_of_both, r"1 image is in both train and test: [0-9a-f]{64}"),
    "a leaked real image": (
        lambda rows: changed(dreamt, real_sha256=rows[0].real_sha256)(rows),
        r"1 real image is used in both train and test: [0-9a-f]{64}",
    ),
}


@pytest.fixture(scope="module")
def tested_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Rows]:
    """A manifest with an evaluation set, which tests replace, and the rows that were built."""
    workspace = fill(Builder(Workspace.open(tmp_path_factory.mktemp("tested") / "workspace"))).write()
    build(workspace, TESTED)
    return workspace, records.read(manifest_path(workspace), ManifestRow)


@pytest.fixture
def tested(tested_once: tuple[Workspace, Rows]) -> Workspace:
    """The same as it was built."""
    workspace, rows = tested_once
    rewritten(workspace, rows, TESTED)
    return workspace


@pytest.fixture(scope="module")
def public_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Rows]:
    """The manifest of a public edition, and the list beside it."""
    workspace = fill(Builder(Workspace.open(tmp_path_factory.mktemp("public") / "workspace"))).write()
    build(workspace, PUBLIC)
    return workspace, records.read(manifest_path(workspace), ManifestRow)


def test_an_undamaged_manifest_passes(tested_once: tuple[Workspace, Rows], public_once: tuple[Workspace, Rows]) -> None:
    for (workspace, rows), options in ((tested_once, TESTED), (public_once, PUBLIC)):
        rewritten(workspace, rows, options)
        assert failures(workspace) == []


#: Which of these one manifest has: those of different problems. With `make soak` each is alone.
TOGETHER: list[list[str]] = scaled(
    [
        [
            "a row twice",
            "a flagged row",
            "a split that is none",
            "a row without its seed",
            "a sha256 that is none",
            "a subset that is none",
            "a real image of an architecture",
            "a licence from nowhere",
            "a real image of another sha256",
            "a prompted real image that says it is not",
            "a generated image in a data set",
            "a real image twice",
            "leaked lineage",
            "a lineage that leaked to validation",
            "a leaked real image",
        ],
        [
            "a lost row",
            "a real image of another subset",
            "a real image without a title",
            "an image of three generators that names one",
            "a real image of a generator",
            "a real image lost",
            "a generator in the other split",
        ],
        ["a generator from nowhere", "an image of two generators", "a row that was never checked"],
        ["a generator that is not its repository's", "a leaked base model", "a leaked image"],
        ["a label that is none", "a leaked generator"],
    ],
    [[damage] for damage in DAMAGE],
)


@pytest.fixture(scope="module")
def found(tested_once: tuple[Workspace, Rows]) -> dict[str, list[str]]:
    """For each damage what is wrong with the manifest that has it."""
    workspace, built = tested_once
    wrong = {}
    for damages in TOGETHER:
        rows = built
        for damage in damages:
            rows = DAMAGE[damage][0](rows)
        rewritten(workspace, rows, TESTED)
        wrong |= dict.fromkeys(damages, failures(workspace))
    return wrong


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_found_and_named(found: dict[str, list[str]], damage: str) -> None:
    assert any(re.fullmatch(DAMAGE[damage][1], failure) for failure in found[damage]), found[damage]


def test_a_split_that_the_table_does_not_give_is_found(tested: Workspace) -> None:
    rows = read_generators(tested)
    write_generators(tested, [replace(row, split=None) for row in rows])
    found = failures(tested)
    write_generators(tested, rows)
    assert found == [
        "3 generators are in another split than generators.parquet says: org/painter, org/sketcher, solo-dreamer"
    ]


def test_what_may_not_be_passed_on_is_found_in_a_public_edition(
    tested_once: tuple[Workspace, Rows], public_once: tuple[Workspace, Rows]
) -> None:
    rewritten(public_once[0], tested_once[1], PUBLIC)
    found = failures(public_once[0])
    assert any(
        f.startswith("3 real images of a public edition may not be passed on") and "locked: folder/100.png" in f
        for f in found
    ), found
    assert any(f.startswith("3 real images are in the manifest and in the list of withheld ones") for f in found), found


def test_a_real_image_that_is_neither_in_a_public_edition_nor_listed_is_named(
    public_once: tuple[Workspace, Rows],
) -> None:
    workspace, rows = public_once
    rewritten(workspace, rows, PUBLIC)
    listed = records.read(withheld_path(workspace), WithheldRow)
    records.write(withheld_path(workspace), WithheldRow, listed[1:])
    found = failures(workspace)
    records.write(withheld_path(workspace), WithheldRow, listed)
    assert found == [
        "1 real image of prompts is neither in the manifest nor in the list of withheld ones: locked: folder/100.png"
    ]


def test_nothing_of_a_damaged_manifest_is_published(tested: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # no request may be needed
    rows = records.read(manifest_path(tested), ManifestRow)
    rewritten(tested, changed(lambda row: row.label == FAKE, nsfw_flag=True)(rows), TESTED)
    with pytest.raises(
        CommunityForensicsError,
        match=r"nothing was published.*cf-build-manifest.*\n  - 1 image is flagged.*: org/painter #0",
    ):
        publish_dataset(tested, "org/name")
