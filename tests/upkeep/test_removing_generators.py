"""A removed generator is in no file of the workspace, no later run makes it, and nothing else changes."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from crawler.catalog import read_catalog
from crawler.reasons import Reason
from manifests.building import build
from manifests.manifest import ManifestRow, manifest_path
from manifests.options import BuildOptions
from manifests.publishing.publish import publish_dataset
from manifests.stage import build_manifest
from samplers.assignment.pending import find_pending
from samplers.options import SampleOptions
from samplers.status.run import Watcher
from tests.manifests.commands import run
from tests.manifests.making import Builder
from tests.scale import scaled
from tests.upkeep.campaign import BASE, campaign
from tests.upkeep.contents import files_with, hashes
from upkeep import cli, removal
from upkeep.options import RemoveOptions
from upkeep.removal import remove
from workspace import exclusive, recipe, records
from workspace.errors import CommunityForensicsError, UsageError
from workspace.exclusive import alone, at_work
from workspace.layout import Workspace
from workspace.removed import generator_key, pseudonym_of, read_removals

REQUEST = RemoveOptions(reason="author-request", note="by letter")
#: What a removal may change beside the files of what is removed: what names it.
_NAMING = ("catalog.parquet", "recipe.toml", "logs/", "manifest/", "report/", ".crawl/", ".locks/", "removed.parquet")
_PSEUDONYM = pseudonym_of(generator_key(BASE))


def test_a_removed_generator_is_in_no_file_and_the_others_are_as_they_were(workspace: Workspace) -> None:
    revision = read_catalog(workspace)[0].revision
    before = hashes(workspace.root, *_NAMING)
    assert len(files_with(workspace.root, BASE, "org--painter", revision)) > 20
    remove(workspace, [BASE], REQUEST)
    assert files_with(workspace.root, BASE, "org--painter", revision) == []
    gone = {path for path in before if "painter" in path}
    assert gone
    after = hashes(workspace.root, *_NAMING)
    outcome = "outcomes/org--crashing.json"  # names it
    assert {**after, outcome: ""} == {
        path: sha256 for path, sha256 in {**before, outcome: ""}.items() if path not in gone
    }
    (tombstone,) = read_removals(workspace).rows
    assert (tombstone.reason, tombstone.note, tombstone.what) == ("author-request", "by letter", "generator")


def test_the_manifest_is_built_without_it_and_shows_the_others_as_before(workspace: Workspace) -> None:
    former = records.read(manifest_path(workspace), ManifestRow)
    report = remove(workspace, [BASE], REQUEST)
    assert "run `cf-build-manifest`" in "\n".join(report.lines())
    assert not manifest_path(workspace).exists()
    built, _ = build_manifest(workspace)
    assert files_with(workspace.root, BASE, "org--painter") == []
    rows = records.read(manifest_path(workspace), ManifestRow)
    assert {row.model_name for row in rows} == {"org/sketcher", "solo-dreamer", "org/tuned", "org/lora", None}
    kept = {(row.model_name, row.index): row for row in rows if row.model_name}
    for row in former:
        if row.model_name in ("org/sketcher", "solo-dreamer"):
            assert replace(kept[row.model_name, row.index], also_by=None, split=None) == replace(
                row, also_by=None, split=None
            )
    assert kept["org/tuned", 0].lineage == (_PSEUDONYM, "org/base")
    assert built.kept == len(kept)


def test_fine_tunes_and_adapters_name_it_no_more_and_adapters_are_not_sampled_further(workspace: Workspace) -> None:
    report = remove(workspace, [BASE], REQUEST)
    assert report.made_from == ("org/lora", "org/tuned")
    rows = {entry.model_name: entry for entry in read_catalog(workspace)}
    assert rows["org/tuned"].status == "compatible"
    assert rows["org/lora"].reason == Reason.BASE_REMOVED
    assert {row.base_model for row in rows.values()} == {_PSEUDONYM, "org/base", None}


def test_no_later_run_samples_it_and_the_same_holdout_is_the_same_setting(workspace: Workspace) -> None:
    remove(workspace, [BASE], REQUEST)
    assert [one.tables["sample"]["holdout"] for one in recipe.rounds(workspace)] == [[f"name={_PSEUDONYM}"]] * 2
    settings = recipe.rounds(workspace)[1].tables["sample"] | {"holdout": [f"name={BASE}"]}
    assert recipe.pin(workspace, "sample", settings) == 2
    with pytest.raises(UsageError, match=rf"--only {BASE}: it was removed from this workspace \(author-request, 20"):
        find_pending(workspace, SampleOptions(only=(BASE,)))
    build(workspace, BuildOptions(holdout=(f"family={BASE}",)))
    assert files_with(workspace.manifest, BASE) == []
    held = {row.model_name for row in records.read(manifest_path(workspace), ManifestRow) if row.split == "test"}
    assert {"org/tuned", "org/lora"} <= held


def test_the_status_of_shards_still_counts_what_they_did(workspace: Workspace) -> None:
    lines = len((workspace.logs / "sample-1-of-2.jsonl").read_text().splitlines())
    remove(workspace, [BASE], REQUEST)
    assert len((workspace.logs / "sample-1-of-2.jsonl").read_text().splitlines()) == lines
    assert BASE not in repr(Watcher(workspace).look(0.0))


def test_one_revision_is_removed_beside_another(tmp_path: Path) -> None:
    builder = campaign(tmp_path / "workspace")
    workspace = builder.workspace
    first = builder.catalog[0]
    further = builder.generator(BASE, revision="f" * 40, further_revision=True, outcome=None)
    builder.samples[further.generator] = [replace(row, revision=further.revision) for row in builder.samples[BASE][:3]]
    builder.write()
    remove(workspace, [f"{BASE}@{first.revision[:8]}"], REQUEST)
    assert not workspace.samples_of(BASE).exists()
    assert workspace.samples_of(further.generator).exists()
    assert [row.revision for row in read_catalog(workspace) if row.model_name == BASE] == ["f" * 40]
    assert read_removals(workspace).generator(BASE, first.revision) is not None
    assert read_removals(workspace).generator(BASE, "f" * 40) is None
    remove(workspace, [BASE], REQUEST)
    assert files_with(workspace.root, BASE, "org--painter") == []


def test_a_dry_run_says_the_same_and_changes_nothing(workspace: Workspace) -> None:
    before = hashes(workspace.root)
    dry = remove(workspace, [BASE], replace(REQUEST, dry_run=True))
    assert hashes(workspace.root) == before
    done = remove(workspace, [BASE], REQUEST)
    assert replace(done, dry_run=True, own_files=dry.own_files) == dry
    assert "org/painter: would be removed, with 9 images" in list(dry.lines())
    assert "org/painter: removed, with 9 images" in list(done.lines())


def test_what_was_removed_before_is_no_error_and_its_restored_files_go_again(
    workspace: Workspace, tmp_path: Path
) -> None:
    shutil.copytree(workspace.samples_of(BASE), tmp_path / "backup")
    remove(workspace, [BASE], REQUEST)
    shutil.copytree(tmp_path / "backup", workspace.samples_of(BASE))
    again = remove(workspace, [BASE], RemoveOptions(reason="quality"))
    assert again.already.keys() == {BASE}
    assert files_with(workspace.root, BASE, "org--painter") == []
    (tombstone,) = read_removals(workspace).rows
    assert tombstone.reason == "author-request"


@pytest.mark.parametrize(
    ("models", "options", "message"),
    [
        ([], {}, "name what to remove"),
        (["org/paintr"], {}, "org/paintr: this workspace has no such generator; did you mean org/painter"),
        (["org/painter@abc"], {}, "give at least 7 digits"),
        (["org/painter@abcdef0"], {}, "the catalogue has no such revision; those of org/painter: "),
        (["not a name"], {}, "is not a repository id"),
        ([], {"real": ("a" * 64,)}, "no prompt of this workspace has a real image with that sha256"),
        ([], {"license": ("CC-BY",)}, "no real image of this workspace has that licence; theirs are CC0-1.0, none"),
    ],
)
def test_what_the_workspace_does_not_have_is_named_before_anything_is_removed(
    workspace: Workspace, models: list[str], options: dict[str, Any], message: str
) -> None:
    before = hashes(workspace.root)
    with pytest.raises(UsageError, match=message) as refused:
        remove(workspace, [*models], RemoveOptions(reason="other", **options))
    assert "\n" not in str(refused.value)
    assert hashes(workspace.root) == before


def test_a_folder_that_is_no_workspace_is_left_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no workspace"):
        remove(Workspace(tmp_path), [BASE], REQUEST)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("work", ["crawling", "sample", "manifest", "publish", "caption-1-of-2"])
def test_it_is_refused_in_one_line_while_a_stage_is_at_work(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, work: str
) -> None:
    monkeypatch.setattr(exclusive, "WAIT", 0.2)
    before = hashes(workspace.root)
    with (
        at_work(workspace, work),
        pytest.raises(CommunityForensicsError, match=rf"another process is at work \({work}"),
    ):
        remove(workspace, [BASE], REQUEST)
    assert hashes(workspace.root, ".locks") == {
        path: sha256 for path, sha256 in before.items() if not path.startswith(".locks")
    }


class _KilledError(BaseException):
    """Where a process would have been killed."""


def _killed_at(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the `number`-th change of a file end the process, as far as one can without ending this one."""
    left = [number]

    def counted(change: Any) -> Any:
        def wrapped(*arguments: Any, **options: Any) -> Any:
            left[0] -= 1
            if not left[0]:
                raise _KilledError
            return change(*arguments, **options)

        return wrapped

    monkeypatch.setattr(removal.shutil, "rmtree", counted(shutil.rmtree))
    for name in ("unlink", "replace"):
        monkeypatch.setattr(Path, name, counted(getattr(Path, name)))


def test_a_removal_that_is_killed_anywhere_is_completed_by_the_same_command(
    template: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = template.workspace
    sha256 = template.prompts["photos"][0].real_sha256
    options = RemoveOptions(reason="privacy", real=(str(sha256),), with_generated=True)

    def copied(name: str) -> Workspace:
        shutil.copytree(original.root, tmp_path / name)
        return Workspace(tmp_path / name)

    expected = copied("expected")
    remove(expected, [BASE], options)
    wanted = hashes(expected.root, ".locks/upkeep/")  # this process lives on
    interrupted = 0
    for number in range(1, 400, scaled(11, 7)):
        workspace = copied(str(number))
        with monkeypatch.context() as patched:
            _killed_at(number, patched)
            try:
                remove(workspace, [BASE], options)
            except _KilledError:
                interrupted += 1
            else:
                break
        if workspace.unfinished.exists():
            with (
                pytest.raises(CommunityForensicsError, match="cf-remove was interrupted"),
                alone(workspace, "crawling"),
            ):
                pass
        remove(workspace, [BASE], options)
        assert hashes(workspace.root, ".locks/upkeep/") == wanted, number
        shutil.rmtree(workspace.root)
    assert interrupted > scaled(3, 5)


def test_another_removal_completes_the_interrupted_one_first(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        _killed_at(5, patched)
        with pytest.raises(_KilledError):
            remove(workspace, [BASE], REQUEST)
    report = remove(workspace, ["solo-dreamer"], RemoveOptions(reason="quality"))
    assert "an interrupted removal was completed" in list(report.lines())
    assert files_with(workspace.root, BASE, "org--painter", "solo-dreamer") == []


def test_the_command_line_removes_and_says_what(workspace: Workspace) -> None:
    script = "from upkeep.cli import remove; remove()"
    command = [sys.executable, "-c", script, BASE, "--reason", "author's request", "--workspace", str(workspace.root)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ})
    assert done.returncode == 0, done.stderr
    assert "org/painter: removed, with 9 images" in done.stdout
    wrong = run(cli.remove, BASE, "--reason", "envy")
    assert wrong.returncode == 2
    assert "licence, author-request, illegal-content, copyright, privacy, quality, other" in wrong.stderr


def test_what_was_removed_and_restored_from_a_copy_is_neither_sampled_nor_built_nor_published(
    template: Builder, workspace: Workspace
) -> None:
    photograph = str(template.prompts["photos"][0].real_sha256)
    remove(workspace, [BASE], REQUEST)
    remove(workspace, [], RemoveOptions(reason="privacy", real=(photograph,)))
    former = template.workspace
    for name in ("catalog.parquet", "prompts", "samples", "images", "manifest", "outcomes"):
        shutil.rmtree(workspace.root / name, ignore_errors=True)
        copy = shutil.copytree if (former.root / name).is_dir() else shutil.copy
        copy(former.root / name, workspace.root / name)
    with pytest.raises(UsageError, match=f"--only {BASE}: it was removed"):
        find_pending(workspace, SampleOptions(only=(BASE,)))
    for check in (lambda: build_manifest(workspace), lambda: publish_dataset(workspace, "org/restored")):
        with pytest.raises(CommunityForensicsError, match=rf"{BASE} \(run `cf-remove` for it again") as refused:
            check()
        assert photograph in str(refused.value)
    remove(workspace, [BASE], REQUEST)
    remove(workspace, [], RemoveOptions(reason="privacy", real=(photograph,)))
    build(workspace)
    assert files_with(workspace.root, BASE, "org--painter", photograph) == []


def test_the_ledger_of_a_removed_generator_is_removed_with_it(workspace: Workspace) -> None:
    ledger = workspace.requests_of(BASE) / "ledger.jsonl"
    ledger.parent.mkdir(parents=True)
    ledger.write_text("paid")
    remove(workspace, [BASE], REQUEST)
    assert not ledger.parent.exists()
