"""Every kind of damage to a workspace is found and named when the manifest is built, and leaves no half manifest.

What happened to the files of one generator costs that generator and no other. Each kind has a file beside this one.
"""

from itertools import product
from typing import get_args

import pytest

from manifests.building import build
from manifests.manifest import manifest_path
from manifests.options import BuildOptions, Verify
from samplers.options import Store
from samplers.outcomes import Outcome, write_outcome
from tests.manifests.checks.damage import PAINTER, Victim, left_out, part
from tests.manifests.making import Builder
from tests.scale import scaled
from workspace.errors import CommunityForensicsError
from workspace.layout import Workspace


def test_several_damaged_files_cost_their_generators_and_all_of_them_no_manifest(filled: Builder) -> None:
    workspace = filled.write()
    part(workspace).write_bytes(b"")
    (workspace.root / str(filled.samples["org/sketcher"][0].image.path)).unlink()
    built = build(workspace)
    assert [line.split(": ")[0] for line in built.damaged] == [
        "org/painter is left out",
        "org/sketcher is left out",
    ]
    assert built.kept == 4
    before = manifest_path(workspace).read_bytes()
    (workspace.root / str(filled.samples["solo-dreamer"][0].image.path)).unlink()
    with pytest.raises(CommunityForensicsError, match=r"no manifest was written: 3 checks failed\n.*1 file is damaged"):
        build(workspace)
    assert manifest_path(workspace).read_bytes() == before


@pytest.mark.parametrize(
    ("store", "verify"),
    scaled([("files", "quick"), ("parquet", "full")], [*product(get_args(Store), get_args(Verify))]),
)
def test_an_undamaged_workspace_passes(filled: Builder, store: Store, verify: Verify) -> None:
    painter = filled.catalog[0]
    said = Outcome(model_name=PAINTER, revision=painter.revision, status="done", kept=9, tries=11)
    write_outcome(filled.workspace, said)
    assert build(filled.write(store=store), BuildOptions(verify=verify)).kept == 22


def test_damage_leaves_the_former_manifest(filled: Builder, ready: Workspace) -> None:
    workspace = ready
    before = {path.name: path.read_bytes() for path in workspace.manifest.iterdir()}
    filled.change(PAINTER, 1, nsfw_flag=True)
    with pytest.raises(CommunityForensicsError):
        build(filled.write())
    assert {path.name: path.read_bytes() for path in workspace.manifest.iterdir()} == before


def test_all_failures_are_reported_at_once(filled: Builder) -> None:
    Victim(filled).first.unlink()
    filled.change(PAINTER, 1, nsfw_flag=True)
    filled.change(PAINTER, 2, image_name=None)
    filled.change(PAINTER, 3, seed=0)
    with pytest.raises(CommunityForensicsError) as message:
        build(filled.write())
    assert str(message.value).count("\n  - ") == 3, message.value
    filled.change(PAINTER, 2, image_name="00000002.png")
    with pytest.raises(CommunityForensicsError) as message:
        build(filled.write())
    assert str(message.value).count("\n  - ") == 3, message.value
    assert "is missing" in str(message.value)


def test_many_rows_are_counted_and_a_few_named(filled: Builder) -> None:
    for sample in filled.samples[PAINTER][:9]:
        (filled.workspace.root / str(sample.image.path)).unlink()
    left_out(filled.write(), r"9 image files are missing: (\S+, ){4}\S+ and 4 more \(")
