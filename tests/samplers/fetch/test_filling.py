"""`cf-fetch` with small contents that nobody loads: what it downloads, keeps and frees."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Event, Thread

import pytest

from samplers.fetch.fetch import _Run
from samplers.fetch.plan import plan_fetch, plan_lines
from samplers.outcomes import read_outcome
from samplers.weights.checker_list import read_checker_list
from samplers.weights.fetching import FetchError
from samplers.weights.notes import Notes
from samplers.weights.offline import NoFilesError, OfflineStore
from samplers.weights.process_folder import ProcessFolder, stored_in
from tests.samplers.fetch.conftest import CHECKER, CONTENT, Site
from workspace.errors import CommunityForensicsError, UsageError

InBackground = Callable[..., Thread]
#: Space for two generators of one content each, with the checker and what files take on a disk.
TWO = 2 * CONTENT + 60_000


@pytest.fixture
def sampler(site: Site) -> Iterator[Callable[..., OfflineStore]]:
    """Makes stores of samplers, each in a process folder of its own."""
    with ExitStack() as stack:

        def make(**options: object) -> OfflineStore:
            return site.offline(stack.enter_context(ProcessFolder(site.weights, is_shared=True)), **options)

        yield make


def _wait_until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_everything_is_fetched_once_in_the_order_of_sampling_and_stays(site: Site) -> None:
    site.make("c", "a", "b")
    report = site.fetch()
    assert report.fetched == ["line/c", "line/a", "line/b"]
    assert [name for name in site.downloads() if name in "abc"] == ["c", "a", "b"]
    assert site.stored() == {"a", "b", "c"}
    site.hub.clear_requests()
    assert site.fetch().fetched == report.fetched
    assert site.downloads() == []
    assert site.stored() == {"a", "b", "c"}


def test_shards_fetch_what_the_shards_of_sampling_sample_and_keep_what_the_others_fetched(site: Site) -> None:
    site.make("a", "b", "c", "d")
    first = site.fetch(shard="1/2")
    second = site.fetch(shard="2/2")
    assert len(first.fetched) == len(second.fetched) == 2
    assert site.stored() == {"a", "b", "c", "d"}


def test_two_at_once_download_each_content_once(site: Site, in_background: InBackground) -> None:
    site.make("abx", "cdx", "efx")
    threads = [in_background(), in_background()]
    for thread in threads:
        thread.join(30)
    assert sorted(name for name in site.downloads() if name in "abcdefx") == list("abcdefx")


def test_it_waits_for_space_says_for_whom_and_frees_what_is_done(
    site: Site, in_background: InBackground, capsys: pytest.CaptureFixture[str]
) -> None:
    site.make("a", "b", "c")
    thread = in_background(max_disk=TWO)
    _wait_until(lambda: site.stored() == {"a", "b"})
    time.sleep(0.3)
    assert site.stored() == {"a", "b"}
    site.finish("a")
    thread.join(30)
    assert site.stored() == {"b", "c"}
    said = capsys.readouterr().err
    (line,) = (line for line in said.splitlines() if line.startswith("waiting for space"))
    assert "line/c needs 100.0 kB" in line
    assert "until line/a, line/b are sampled" in line
    assert "cf-sample --offline --weights-dir" in line


def test_what_a_sampler_uses_is_not_freed_though_it_is_done(site: Site, sampler: Callable[..., OfflineStore]) -> None:
    site.make("a", "b")
    site.fetch()
    store = sampler()
    files = store.fetch(site.entries[0])
    site.finish("a")
    site.finish("b")
    site.fetch()
    assert site.stored() == {"a"}
    assert (files.folder / "a.safetensors").stat().st_size == CONTENT
    store.release(site.entries[0])
    site.fetch()
    assert site.stored() == set()


def test_what_others_need_still_is_not_freed(site: Site) -> None:
    site.make("ax", "bx")
    site.fetch()
    site.finish("ax")
    site.fetch()
    assert site.stored() == {"b", "x"}


def test_what_a_sampler_waits_for_comes_first_and_others_give_way(
    site: Site, in_background: InBackground, sampler: Callable[..., OfflineStore]
) -> None:
    site.make("a", "b", "c", "d")
    thread = in_background(max_disk=TWO)
    _wait_until(lambda: site.stored() == {"a", "b"})
    store = sampler(wait=30.0)
    assert store.next_of([site.entries[3]], lambda: True) == 0
    assert store.fetch(site.entries[3]).folder.is_dir()
    assert site.stored() == {"a", "d"}
    store.release(site.entries[3])
    for word in "dabc":
        site.finish(word)
    thread.join(30)


@pytest.mark.parametrize("damage", ["flip", "truncate"])
def test_a_damaged_file_is_found_before_it_is_used_and_fetched_again(
    site: Site, in_background: InBackground, sampler: Callable[..., OfflineStore], damage: str
) -> None:
    site.make("ab")
    site.fetch()
    content = site.weights / "pool" / site.key("b")
    right = content.read_bytes()
    content.write_bytes(right[:100] + b"\0" + right[101:] if damage == "flip" else right[:-1])
    store = sampler(wait=30.0)
    with pytest.raises(FetchError, match="damaged") as refused:
        store.fetch(site.entries[0])
    assert refused.value.transient
    assert site.stored() == {"a"}
    thread = in_background(stay=True)
    assert store.next_of(site.entries, lambda: True) == 0
    files = store.fetch(site.entries[0])
    assert (files.folder / "b.safetensors").read_bytes() == right
    content.unlink()
    _wait_until(lambda: site.stored() == {"a", "b"})
    site.finish("ab")
    thread.join(30)


def test_a_file_that_was_damaged_since_the_sampler_started_is_found_too(
    site: Site, sampler: Callable[..., OfflineStore]
) -> None:
    site.make("a")
    store = sampler()
    site.fetch()
    content = site.weights / "pool" / site.key("a")
    content.write_bytes(b"\0" + content.read_bytes()[1:])
    with pytest.raises(FetchError, match="damaged"):
        store.fetch(site.entries[0])
    assert site.stored() == set()


def test_the_next_cf_fetch_finds_damage_by_itself(site: Site) -> None:
    site.make("a")
    site.fetch()
    content = site.weights / "pool" / site.key("a")
    right = content.read_bytes()
    content.write_bytes(b"\0" + right[1:])
    site.fetch()
    assert content.read_bytes() == right


def test_the_checker_is_fetched_too_and_found_without_a_hub(site: Site, sampler: Callable[..., OfflineStore]) -> None:
    site.make("a")
    site.fetch()
    commit = site.checker.partition("@")[2]
    folder = sampler().fetch_checker(CHECKER, commit)
    assert (folder / "model.safetensors").read_bytes() == b"model.safetensors"
    (listed,) = (site.weights / "checkers").iterdir()
    text = listed.read_text()
    listed.write_text(text.replace("preprocessor", "prEprocessor", 1))
    assert read_checker_list(site.weights, CHECKER, commit) is None
    site.fetch()
    assert listed.read_text() == text


def test_a_generator_that_the_hub_refuses_fails_alone_and_samplers_do_not_wait_for_it(
    site: Site, sampler: Callable[..., OfflineStore]
) -> None:
    site.make("a", "b")
    site.hub.fail("status", status=404, path="/line/a/")
    report = site.fetch()
    assert report.fetched == ["line/b"]
    assert list(report.failed) == ["line/a"]
    outcome = read_outcome(site.workspace, "line/a")
    assert outcome is not None
    assert outcome.status == "fetch-failed"
    store = sampler(is_over=lambda name: read_outcome(site.workspace, name) is not None)
    assert store.next_of(site.entries[:1], lambda: True) == 0
    with pytest.raises(FetchError) as refused:
        store.fetch(site.entries[0])
    assert not refused.value.transient


def test_without_cf_fetch_a_sampler_ends_with_what_to_start(site: Site, sampler: Callable[..., OfflineStore]) -> None:
    site.make("a", "b")
    said: list[str] = []
    store = sampler(wait=0.3, say=said.append)
    with pytest.raises(NoFilesError) as ended:
        store.next_of(site.entries, lambda: True)
    assert ended.value.exit_code == 75
    assert "the files of line/a and 1 others are not in" in str(ended.value)
    assert "cf-fetch --weights-dir HERE" in str(ended.value)


def test_a_sampler_whose_device_works_waits_without_an_end(site: Site, sampler: Callable[..., OfflineStore]) -> None:
    site.make("a")
    store = sampler(wait=0.0)
    looks = iter([False] * 5)
    with pytest.raises(NoFilesError):
        store.next_of(site.entries, lambda: next(looks, True))
    assert next(looks, None) is None


def test_a_cf_fetch_that_does_not_fetch_it_is_none(
    site: Site, in_background: InBackground, sampler: Callable[..., OfflineStore]
) -> None:
    site.make("a", "b")
    thread = in_background(only=("line/a",), stay=True)
    _wait_until(lambda: site.stored() == {"a"})
    with pytest.raises(NoFilesError, match="is at work there and does not fetch them; start one that does"):
        sampler(wait=0.2).next_of(site.entries[1:], lambda: True)
    site.finish("a")
    thread.join(30)


def test_generators_whose_files_are_there_are_taken_before_those_that_are_not(
    site: Site, sampler: Callable[..., OfflineStore]
) -> None:
    site.make("a", "b", "c")
    site.fetch(only=("line/b", "line/c"))
    assert sampler().next_of(site.entries, lambda: True) == 1


def test_the_command_killed_in_a_download_is_started_again_and_says_what_it_did(site: Site) -> None:
    site.make("a", "b")
    site.hub.fail("stall", path="b.safetensors", times=1, after=CONTENT // 2, seconds=60)
    command = [
        Path(sys.executable).parent / "cf-fetch",
        "--workspace",
        site.workspace.root,
        "--weights-dir",
        site.weights,
    ]
    command += ["--safety-checker", site.checker]
    environment = {**os.environ, **site.hub.environment()}
    with subprocess.Popen(command, env=environment) as killed:
        _wait_until(lambda: any(row["times"] for row in site.hub.faults() for row in [{"times": row["applied"]}]))
        killed.kill()
    assert site.stored() == {"a"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == f"fetched: 2 of 2 generators, into {site.weights}\n"
    assert site.stored() == {"a", "b"}
    assert site.downloads().count("a") == 1
    assert list(site.weights.glob("process-*")) == []


def test_a_sampler_of_another_cf_fetch_gets_space_too(
    site: Site, in_background: InBackground, sampler: Callable[..., OfflineStore]
) -> None:
    site.make("a", "b", "c", "d")
    # The first one has all the space, with another generator left, and nobody samples its generators.
    threads = [in_background(max_disk=TWO, only=("line/a", "line/b", "line/c"))]
    _wait_until(lambda: site.stored() == {"a", "b"})
    threads.append(in_background(max_disk=TWO, only=("line/d",)))
    store = sampler(wait=30.0)
    assert store.next_of([site.entries[3]], lambda: True) == 0
    assert store.fetch(site.entries[3]).folder.is_dir()
    store.release(site.entries[3])
    for word in "abcd":
        site.finish(word)
    for thread in threads:
        thread.join(30)


def test_what_a_sampler_waits_for_stays_until_it_has_it(
    site: Site, in_background: InBackground, sampler: Callable[..., OfflineStore]
) -> None:
    site.make("a")
    with ProcessFolder(site.weights, is_shared=True) as folder:
        notes = Notes(folder)
        notes.wait_for(["line/a"])
        thread = in_background()
        _wait_until(lambda: site.stored() == {"a"})
        thread.join(0.3)
        assert thread.is_alive()
        assert sampler().next_of(site.entries, lambda: True) == 0
        notes.wait_for(())
        thread.join(30)


def test_what_another_cf_fetch_has_fetched_stays_when_it_has_ended(
    site: Site, in_background: InBackground, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    look, may_end = _Run._look, Event()

    def look_before_the_other_ends(run: _Run) -> None:
        look(run)
        if f"line/{there}" in run._share and may_end.is_set():
            ending.join(30)

    monkeypatch.setattr(_Run, "_look", look_before_the_other_ends)
    site.make("a", "b", "c")
    plan = plan_fetch(site.workspace, site.options(shard="1/2"))
    here = [one.entry.model_name.removeprefix("line/") for one in plan.share]
    (there,) = {"a", "b", "c"}.difference(here)
    with ProcessFolder(site.weights, is_shared=True) as folder:
        notes = Notes(folder)
        notes.wait_for([f"line/{here[0]}"])
        site.hub.fail("stall", path=f"{here[1]}.safetensors", times=1, after=CONTENT // 2, seconds=2)
        ending = in_background(max_disk=TWO, shard="1/2")
        _wait_until(lambda: site.stored() == {here[0]})
        # Begun before the other one has fetched everything.
        waiting = in_background(max_disk=TWO, shard="2/2")
        _wait_until(lambda: f"line/{there} needs" in capsys.readouterr().err)
        _wait_until(lambda: site.stored() == {*here})
        may_end.set()
        notes.wait_for(())
        ending.join(30)
    time.sleep(0.3)
    assert site.stored() == {*here}
    site.finish(here[0])
    waiting.join(30)
    assert site.stored() == {here[1], there}


def test_a_generator_that_never_fits_fails_alone(site: Site) -> None:
    site.make("abc", "d")
    report = site.fetch(max_disk=TWO)
    assert report.fetched == ["line/d"]
    assert "more than --max-disk" in report.failed["line/abc"]


def test_a_dry_run_says_what_is_to_do_and_changes_nothing(site: Site) -> None:
    site.make("a", "b")
    options = site.options(max_disk="150kB")
    lines = plan_lines(plan_fetch(site.workspace, options), options, stored_in(site.weights))
    assert "generators to fetch: 2 (shard 1/1; 2 in all shards, 0 finished, 0 skipped)" in lines
    assert any("200." in line and "and the safety checker safety/checker@" in line for line in lines)
    assert any("--max-disk 150.0 kB is less" in line for line in lines)
    assert not site.weights.exists()
    site.fetch()
    lines = plan_lines(plan_fetch(site.workspace, options), options, stored_in(site.weights))
    assert any(line.startswith("to download: 0 bytes of 200.") for line in lines)


def test_a_folder_that_others_use_and_a_missing_one_are_refused(site: Site) -> None:
    with pytest.raises(UsageError, match="--weights-dir DIR"):
        site.options(weights_dir=None)
    site.make("a")
    site.weights.write_text("a file")
    with pytest.raises(CommunityForensicsError, match="--weights-dir"):
        site.fetch()
