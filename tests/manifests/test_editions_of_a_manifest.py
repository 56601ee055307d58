"""What a public edition has, and what the full one."""

import pytest

from manifests.building import build
from manifests.choices import read_choices
from manifests.manifest import manifest_path
from manifests.options import BuildOptions
from manifests.tables.withheld import WithheldRow, withheld_path
from tests.manifests.making import Builder, rows_of
from workspace import records
from workspace.errors import UsageError
from workspace.layout import Workspace


def test_a_generator_that_an_edition_leaves_out_is_not_named_by_the_others(builder: Builder) -> None:
    one = builder.generator("org/one", license="mit", license_family="open")
    two = builder.generator("org/two", license=None, license_source="none", license_family="unknown")
    content, prompt = builder.picture("the same", 0), builder.real("photos", 1)
    for generator in (one, two):
        builder.sample(generator, prompt, content=content)
    build(builder.write(), BuildOptions(edition="public"))
    assert [(row.model_name, row.also_by) for row in rows_of(builder.workspace) if row.label] == [("org/one", None)]


def test_the_public_edition_has_what_may_be_passed_on_and_a_list_of_the_rest_and_the_full_one_removes_it(
    filled: Builder,
) -> None:
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
    ready: Workspace, licenses: str, message: str
) -> None:
    workspace = ready
    before = {path: path.read_bytes() for path in workspace.manifest.rglob("*")}
    with pytest.raises(UsageError, match=message):
        build(workspace, BuildOptions(edition="public", license_allow=(licenses,)))
    assert {path: path.read_bytes() for path in workspace.manifest.rglob("*")} == before


def test_licences_are_chosen_for_the_public_edition_only() -> None:
    with pytest.raises(UsageError, match="add --edition public"):
        BuildOptions(license_allow=("mit",))
