"""Workspaces of one catalogue and recipe become one, as one workspace would have had all along."""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import tomli_w

from captioning.prompt import Prompt, prompt_parts
from crawler.catalog import CatalogEntry, read_catalog
from manifests.building import build
from samplers.provider.ledger import LEDGER, Ledger
from samplers.provider.sealing import Seal
from samplers.sample import Sample, read_samples
from tests.manifests.making import Builder
from tests.scale import scaled
from tests.upkeep.campaign import BASE
from tests.upkeep.contents import files_with, hashes
from upkeep import placing
from upkeep.merging import merge
from upkeep.options import MergeOptions, RemoveOptions
from upkeep.removal import remove
from workspace import recipe, records
from workspace.errors import CommunityForensicsError, UsageError
from workspace.exclusive import alone
from workspace.layout import Workspace
from workspace.removed import read_removals

#: Of two shards.
SHARDS = (("org/painter", "solo-dreamer"), ("org/sketcher", "org/tuned", "org/lora", "org/crashing"))
#: What is not of the campaign: the manifest, and what killed processes left.
_NOT_MERGED = ("manifest/", "report/", ".crawl/", ".locks/")


def _without(workspace: Workspace, generators: tuple[str, ...]) -> None:
    for name in generators:
        for folder in (workspace.samples_of(name), workspace.images_of(name)):
            shutil.rmtree(folder, ignore_errors=True)
        workspace.outcome_of(name).unlink(missing_ok=True)
        workspace.stderr_of(name).unlink(missing_ok=True)


@pytest.fixture
def copied(template: Builder, tmp_path: Path) -> Callable[..., Workspace]:
    """Copies of the campaign, of which one may lack some generators."""

    def copy(name: str, without: tuple[str, ...] = ()) -> Workspace:
        shutil.copytree(template.workspace.root, tmp_path / name)
        workspace = Workspace(tmp_path / name)
        for folder in _NOT_MERGED:
            shutil.rmtree(workspace.root / folder, ignore_errors=True)
        _without(workspace, without)
        return workspace

    return copy


@pytest.fixture
def shards(copied: Callable[..., Workspace]) -> tuple[Workspace, Workspace]:
    first, second = copied("first", SHARDS[1]), copied("second", SHARDS[0])
    (first.logs / "sample-1-of-2.jsonl").rename(first.logs / "kept")
    (second.logs / "sample-1-of-2.jsonl").unlink()
    (first.logs / "kept").rename(first.logs / "sample-1-of-2.jsonl")
    return first, second


@pytest.mark.parametrize("copy", [False, True], ids=["links", "copies"])
def test_two_shards_become_what_one_workspace_has_byte_for_byte(
    copied: Callable[..., Workspace], shards: tuple[Workspace, Workspace], tmp_path: Path, copy: bool
) -> None:
    whole = copied("whole")
    before = [hashes(one.root) for one in shards]
    merged = merge([one.root for one in shards], MergeOptions(into=tmp_path / "merged", copy=copy))
    assert hashes(tmp_path / "merged") == hashes(whole.root)
    assert [hashes(one.root) for one in shards] == before
    assert sorted(map(len, merged.generators.values())) == sorted(map(len, SHARDS))
    part = next((tmp_path / "merged").glob("samples/*/part-*"))
    assert (part.stat().st_nlink == 1) is copy
    log = tmp_path / "merged" / "logs" / "crawl.jsonl"
    assert log.stat().st_nlink == 1  # a later crawl appends to it
    if not copy:
        build(Workspace(tmp_path / "merged"))


def test_without_a_folder_the_first_workspace_gets_what_it_lacks(
    copied: Callable[..., Workspace], shards: tuple[Workspace, Workspace]
) -> None:
    merge([one.root for one in shards])
    assert hashes(shards[0].root) == hashes(copied("whole").root)
    again = merge([one.root for one in shards])
    assert "nothing was missing" in list(again.lines())


def test_a_dry_run_says_what_would_be_taken_and_changes_nothing(
    shards: tuple[Workspace, Workspace], tmp_path: Path
) -> None:
    before = [hashes(one.root) for one in shards]
    dry = merge([one.root for one in shards], MergeOptions(into=tmp_path / "merged", dry_run=True))
    assert not (tmp_path / "merged").exists()
    assert [hashes(one.root) for one in shards] == before
    done = merge([one.root for one in shards], MergeOptions(into=tmp_path / "merged"))
    assert replace(done, dry_run=True) == dry


class _KilledError(BaseException):
    """Where a process would have been killed."""


def test_a_merge_that_is_killed_anywhere_is_completed_by_the_same_command(
    shards: tuple[Workspace, Workspace], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [one.root for one in shards]
    merge(paths, MergeOptions(into=tmp_path / "expected"))
    expected = hashes(tmp_path / "expected")
    link, interrupted = placing.link_or_copy, 0
    for number in range(1, 200, scaled(23, 9)):
        left, target = [number], tmp_path / f"merged-{number}"

        def give(source: Path, to: Path, left: list[int] = left) -> bool:
            left[0] -= 1
            if not left[0]:
                raise _KilledError
            return link(source, to)

        with monkeypatch.context() as patched:
            patched.setattr(placing, "link_or_copy", give)
            try:
                merge(paths, MergeOptions(into=target))
            except _KilledError:
                interrupted += 1
            else:
                break
        with (
            pytest.raises(CommunityForensicsError, match="cf-merge was interrupted"),
            alone(Workspace(target), "sample"),
        ):
            pass
        merge(paths, MergeOptions(into=target))
        assert hashes(target) == expected
    assert interrupted > scaled(2, 3)


def test_of_a_generator_in_both_the_more_complete_one_counts_with_all_its_files(
    copied: Callable[..., Workspace], tmp_path: Path
) -> None:
    less, more = copied("less"), copied("more")
    last = sorted(less.samples_of("org/tuned").glob("part-*"))[-1]
    last.unlink()
    less.outcome_of("org/tuned").unlink()
    merge([less.root, more.root], MergeOptions(into=tmp_path / "merged"))
    assert hashes(tmp_path / "merged") == hashes(more.root)
    merge([less.root, more.root])
    assert hashes(less.root) == hashes(more.root)


def test_what_is_damaged_is_told_and_the_whole_one_is_taken(copied: Callable[..., Workspace], tmp_path: Path) -> None:
    damaged, whole = copied("damaged"), copied("whole")
    image = next(iter(sorted(damaged.images_of("org/tuned").iterdir())))
    image.write_bytes(image.read_bytes()[:-1])
    merged = merge([damaged.root, whole.root], MergeOptions(into=tmp_path / "merged"))
    assert f"org/tuned: damaged: image 00000000.png in {damaged.root}" in list(merged.lines())
    assert hashes(tmp_path / "merged") == hashes(whole.root)


def test_images_of_another_device_are_told_and_never_mixed(copied: Callable[..., Workspace], tmp_path: Path) -> None:
    one, other = copied("one"), copied("other")
    part = next(iter(sorted(other.samples_of("org/tuned").glob("part-*"))))
    rows = records.read(part, Sample)
    content = b"another picture"
    (other.images_of("org/tuned") / str(rows[0].image_name)).write_bytes(content)
    changed = replace(rows[0], sha256=hashlib.sha256(content).hexdigest(), file_size=len(content), device="gpu")
    records.write(part, Sample, [changed, *rows[1:]])
    merged = merge([one.root, other.root], MergeOptions(into=tmp_path / "merged"))
    told = f"org/tuned: 1 of 6 images in {other.root} are other ones, as another device or version makes them"
    assert any(line.startswith(told) for line in merged.lines())
    assert read_samples(Workspace(tmp_path / "merged"), "org/tuned") == read_samples(one, "org/tuned")


def test_other_recipes_are_refused_with_the_difference(shards: tuple[Workspace, Workspace], tmp_path: Path) -> None:
    tables = {**recipe.read(shards[1]), "sample": {**recipe.read(shards[1])["sample"], "images": 7}}
    shards[1].recipe.write_text(tomli_w.dumps(tables))
    with pytest.raises(UsageError, match=r"another recipe than .*: \[sample\] images was 9, now 7\. ") as refused:
        merge([one.root for one in shards], MergeOptions(into=tmp_path / "merged"))
    assert "\n" not in str(refused.value)


def test_other_catalogues_are_refused_with_the_difference_but_for_counts(
    shards: tuple[Workspace, Workspace], tmp_path: Path
) -> None:
    entries = read_catalog(shards[1])
    records.write(shards[1].catalog, CatalogEntry, [replace(entry, downloads=5, likes=1) for entry in entries])
    merge([one.root for one in shards], MergeOptions(into=tmp_path / "merged"))
    records.write(shards[1].catalog, CatalogEntry, [replace(entries[0], revision="e" * 40), *entries[2:]])
    with pytest.raises(
        UsageError, match=r"another catalogue than .*org/sketcher is only in .*; org/painter differs in re"
    ):
        merge([one.root for one in shards], MergeOptions(into=tmp_path / "merged-2"))


def test_other_prompts_are_refused_and_missing_or_damaged_ones_are_taken_from_the_other(
    shards: tuple[Workspace, Workspace], copied: Callable[..., Workspace], tmp_path: Path
) -> None:
    locked, photos = (prompt_parts(one) for one in shards)
    locked[0].unlink()
    photos[1].write_bytes(b"damaged")
    merge([one.root for one in shards], MergeOptions(into=tmp_path / "merged"))
    assert hashes(tmp_path / "merged") == hashes(copied("whole").root)
    rows = records.read(locked[1], Prompt)
    records.write(photos[1], Prompt, [replace(rows[0], prompt="other words"), *rows[1:]])
    with pytest.raises(UsageError, match="has other prompts than"):
        merge([one.root for one in shards], MergeOptions(into=tmp_path / "merged-2"))


def test_what_one_removed_is_removed_from_all(
    shards: tuple[Workspace, Workspace], template: Builder, copied: Callable[..., Workspace], tmp_path: Path
) -> None:
    photograph = str(template.prompts["photos"][0].real_sha256)
    removing = (
        ([BASE], RemoveOptions(reason="author-request")),
        ([], RemoveOptions(reason="privacy", real=(photograph,), with_generated=True)),
    )
    for (names, options), workspace in zip(removing, reversed(shards), strict=True):
        remove(workspace, names, options)
    whole = copied("whole")
    for names, options in removing:
        remove(whole, names, options)
    (shards[0].manifest / "former").mkdir(parents=True)
    merge([one.root for one in shards], MergeOptions(into=tmp_path / "merged"))
    merge([one.root for one in shards])
    for merged in (Workspace(tmp_path / "merged"), shards[0]):
        assert files_with(merged.root, BASE, "org--painter", photograph) == []
        assert read_removals(merged).rows == read_removals(whole).rows
        assert not merged.manifest.exists()
        logs = [path for path in hashes(merged.root) if path.startswith("logs/")]
        assert hashes(merged.root, *logs) == hashes(whole.root, *logs)


@pytest.mark.parametrize("into", [None, "merged"])
def test_what_is_no_workspace_and_one_alone_are_refused(
    shards: tuple[Workspace, Workspace], tmp_path: Path, into: str | None
) -> None:
    options = MergeOptions(into=tmp_path / into if into else None)
    (tmp_path / "nothing").mkdir()
    with pytest.raises(UsageError, match="is no workspace with a catalogue"):
        merge([shards[0].root, tmp_path / "nothing"], options)
    with pytest.raises(UsageError, match="name at least two workspaces"):
        merge([shards[0].root, shards[0].root], options)
    (tmp_path / "nothing" / "letter").write_text("not to be touched")
    with pytest.raises(UsageError, match="is not empty, and no workspace"):
        merge([one.root for one in shards], MergeOptions(into=tmp_path / "nothing"))


def _requested(workspace: Workspace, name: str, answered: int) -> Path:
    """Note requests of which so many were answered; the ledger."""
    ledger = Ledger(workspace.requests_of(name), Seal("key", name))
    ledger.note(ledger.send(0, 0.5), "failed")
    for index in range(answered):
        ledger.answer(ledger.send(index, 0.5), b"an answer")
    ledger.close()
    return workspace.requests_of(name) / LEDGER


def test_what_was_requested_of_a_provider_goes_with_its_generator_as_a_file_of_its_own(
    shards: tuple[Workspace, Workspace], tmp_path: Path
) -> None:
    first, second = shards
    name = SHARDS[0][0]
    paid, _ = _requested(first, name, 2), _requested(second, name, 3)
    merged = merge([first.root, second.root], MergeOptions(into=tmp_path / "merged"))
    ledger = Workspace(tmp_path / "merged").requests_of(name) / LEDGER
    assert ledger.read_bytes() == paid.read_bytes()
    assert not ledger.samefile(paid)
    assert any(f"what {second.root} requested of its provider is in its own" in remark for remark in merged.remarks)


def test_answers_that_are_paid_and_in_no_row_yet_are_taken_from_whoever_paid_most(
    shards: tuple[Workspace, Workspace], tmp_path: Path
) -> None:
    first, second = shards
    name = "org/requested"
    _requested(first, name, 0)
    paid = _requested(second, name, 2)
    with pytest.raises(UsageError, match="ledger of the first would be lost: merge into a new folder with --into"):
        merge([first.root, second.root])
    merged = merge([first.root, second.root], MergeOptions(into=tmp_path / "merged"))
    assert name in merged.generators[str(second.root)]
    assert hashes(Workspace(tmp_path / "merged").requests_of(name)) == hashes(paid.parent)
    assert any(f"what {first.root} requested of its provider is in its own" in remark for remark in merged.remarks)
    again = merge([tmp_path / "merged", second.root])
    assert "nothing was missing" in list(again.lines())


@pytest.mark.attack
def test_links_of_another_workspace_bring_no_file_of_the_user(copied: Callable[..., Workspace], tmp_path: Path) -> None:
    """Whoever gave one of the workspaces has put links to the token into it."""
    (tmp_path / "token").write_text("hf_secret")
    ours, theirs = copied("a", without=SHARDS[1]), copied("b", without=SHARDS[0])
    for name in ("notes.txt", "real/coco/a.jpg", "logs/sample-1.jsonl"):
        (theirs.root / name).parent.mkdir(parents=True, exist_ok=True)
        (theirs.root / name).symlink_to(tmp_path / "token")
    merged = merge([ours.root, theirs.root], MergeOptions(into=tmp_path / "c"))
    assert [path for path in (tmp_path / "c").rglob("*") if path.is_symlink() or _has(path, b"hf_secret")] == []
    assert f"{theirs.root / 'notes.txt'} is a link, and was not taken" in merged.remarks
    image = next(theirs.images_of("org/sketcher").iterdir())
    image.unlink()
    image.symlink_to(tmp_path / "token")
    with pytest.raises(UsageError, match="is a link, or no regular file"):
        merge([ours.root, theirs.root], MergeOptions(into=tmp_path / "d"))


def _has(path: Path, content: bytes) -> bool:
    return path.is_file() and content in path.read_bytes()
