"""Others write to the same dataset: at the same time, or beside what this program wrote."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from localhub.process import HubProcess
from localhub.store import Store
from manifests.building import build
from tests.manifests.making import Builder, fill
from tests.manifests.publishing.publishing import (
    add_by_hand,
    branches,
    check_whole,
    files,
    history,
    publish,
    sent,
    text,
)
from tests.scale import scaled
from workspace.layout import Workspace

Meanwhile = Callable[[Callable[[], object]], None]


@pytest.fixture
def theirs(ready: Workspace, tmp_path: Path) -> Workspace:
    """The same workspace, of somebody else."""
    return Workspace(shutil.copytree(ready.root, tmp_path / "theirs"))


@pytest.fixture(scope="module")
def other_version(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Their workspace after they sampled another image; tests only publish it."""
    other = fill(Builder(Workspace.open(tmp_path_factory.mktemp("other") / "workspace")))
    other.sample(other.catalog[0], other.prompts["photos"][0])
    build(other.write())
    return other.workspace


def test_another_version_that_came_meanwhile_stays_until_the_command_is_run_again(
    clean: HubProcess, ready: Workspace, other_version: Workspace, meanwhile: Meanwhile
) -> None:
    meanwhile(lambda: publish(clean, other_version, "org/versions"))
    done = publish(clean, ready, "org/versions")
    assert done.returncode == 1
    assert "somebody else published another version meanwhile" in done.stderr
    assert done.stderr.count("\n") == 1
    assert check_whole(clean, "org/versions") == 32
    again = publish(clean, ready, "org/versions")
    assert again.returncode == 0, again.stderr
    assert check_whole(clean, "org/versions") == 31


def test_two_publishers_send_to_one_branch_and_nothing_is_sent_twice(
    clean: HubProcess, ready: Workspace, other_version: Workspace, meanwhile: Meanwhile
) -> None:
    def interrupted() -> None:
        clean.fail("status", path="/commit/main", status=413, times=1)
        assert publish(clean, other_version, "org/branch", **small).returncode == 1

    small = {"max_shard_size": "12KB", "max_staging": "40KB"}
    meanwhile(interrupted)
    done = publish(clean, ready, "org/branch", **small)
    assert done.returncode == 0, done.stderr
    assert check_whole(clean, "org/branch") == 31
    uploads = sent(clean)
    assert len(uploads) == len(set(uploads))


def test_the_same_version_of_two_publishers_is_there_once_and_a_card_that_is_edited_meanwhile_keeps_the_edit(
    clean: HubProcess, ready: Workspace, theirs: Workspace, meanwhile: Meanwhile
) -> None:
    meanwhile(lambda: publish(clean, theirs, "org/both"))
    done = publish(clean, ready, "org/both")
    assert done.returncode == 0, done.stderr
    assert "was changed by somebody else meanwhile: planned again" in done.stdout
    assert check_whole(clean, "org/both") == 31
    assert len(history(clean, "org/both")) == 2
    assert branches(clean, "org/both") == {"main"}

    edited = text(clean, "org/both", "README.md") + "\n## Errata\n\nRow 17.\n"
    meanwhile(lambda: add_by_hand(clean, "org/both", {"README.md": edited.encode(), "LICENSE": b"terms"}))
    done = publish(clean, ready, "org/both", max_shard_size="12KB")
    assert done.returncode == 0, done.stderr
    now = text(clean, "org/both", "README.md")
    assert now.endswith("\n## Errata\n\nRow 17.\n")
    assert now.split("## Changelog")[0] == edited.split("## Changelog")[0]
    assert text(clean, "org/both", "LICENSE") == "terms"
    assert check_whole(clean, "org/both") == 31


REFUSED = {"error": "A commit has happened since. Please refresh and try again."}


def test_a_commit_after_somebody_elses_is_tried_again_a_few_times(clean: HubProcess, ready: Workspace) -> None:
    committed_to = ("cf-publish", "main")
    for branch in committed_to:
        clean.fail("status", path=f"/commit/{branch}", status=412, body=REFUSED, times=1)
    done = publish(clean, ready, "org/once")
    assert done.returncode == 0, done.stderr
    assert [rule["applied"] for rule in clean.faults()] == [1, 1]
    assert check_whole(clean, "org/once") == 31
    for branch in committed_to:
        clean.clear_faults()
        clean.fail("status", path=f"/commit/{branch}", status=412, body=REFUSED)
        done = publish(clean, ready, "org/always")
        assert done.returncode == 1
        assert "others publish there too; run the same command when they have ended" in done.stderr
        assert done.stderr.count("\n") == 1


def test_a_lost_answer_to_the_last_commit_is_no_failure(clean: HubProcess, ready: Workspace) -> None:
    clean.fail("reset", path="/commit/main", times=1)
    done = publish(clean, ready, "org/lost")
    assert done.returncode == 0, done.stderr
    assert check_whole(clean, "org/lost") == 31


#: The first and the last question to the Hub, and where the contents go; `make soak` asks the others too.
ANSWERS = ("/create$", "/commit/", "objects/batch")


def test_what_a_web_page_says_was_created_is_looked_for(clean: HubProcess, ready: Workspace) -> None:
    for what, named in (("/branch/", "branch cf-publish"), ("/tag/", "tag round-1")):
        clean.fail("html", path=what)
        done = publish(clean, ready, "org/login")
        assert done.returncode == 1
        assert done.stderr.endswith(f"it has no {named}, although it was created: run the same command again\n")
        clean.clear_faults()
    assert "tag round-1: " in publish(clean, ready, "org/login").stdout


@pytest.mark.parametrize(
    "path", scaled(ANSWERS, (*ANSWERS, "/api/datasets/org/html", "/tree/", "preupload", "/branch/"))
)
def test_a_web_page_in_place_of_an_answer_is_one_line(clean: HubProcess, ready: Workspace, path: str) -> None:
    clean.fail("html", path=path)
    name = f"org/html-{re.sub('[^a-z]+', '', path)}"
    done = publish(clean, ready, name)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert re.search("a web page came in place of its answer|has no branch cf-publish", done.stderr)


def test_a_web_page_in_place_of_a_file_is_not_taken_for_it(clean: HubProcess, ready: Workspace) -> None:
    publish(clean, ready, "org/page")
    for path in ("README.md", "SHA256SUMS"):
        clean.fail("html", path=f"/resolve/.*/{path}")
        done = publish(clean, ready, "org/page")
        assert done.returncode == 1
        assert f"{path} at" in done.stderr
        assert "is not what the Hub's list of files says" in done.stderr
        assert done.stderr.count("\n") == 1
        clean.clear_faults()


def test_a_shard_of_others_that_readers_would_take_for_rows_is_named(clean: HubProcess, ready: Workspace) -> None:
    publish(clean, ready, "org/guest")
    kept = {"data/notes.txt": b"n", "data/Other-1.parquet": b"o", "score.py": b"p"}
    add_by_hand(clean, "org/guest", {"data/Systematic-of-others.parquet": b"x", **kept})
    before = files(clean, "org/guest")
    done = publish(clean, ready, "org/guest", max_shard_size="12KB")
    assert done.returncode == 1
    assert "readers take data/Systematic-of-others.parquet for rows of this dataset" in done.stderr
    assert done.stderr.count("\n") == 1
    assert files(clean, "org/guest") == before
    without = {"add": {}, "delete": ["data/Systematic-of-others.parquet"]}
    Store(clean.directory).commit("dataset", "org/guest", message="by hand", date="2026-01-01T00:00:00.000Z", **without)
    assert publish(clean, ready, "org/guest", max_shard_size="12KB").returncode == 0
    assert kept.keys() <= files(clean, "org/guest").keys()


@pytest.mark.parametrize(
    ("path", "may_stay"),
    scaled(
        [("eval/score.py", True), ("metadata/a.txt", False)],
        [
            ("LICENSE", True),
            ("eval/score.py", True),
            ("owned.py", False),
            ("train.csv", False),
            ("metadata/a.txt", False),
        ],
    ),
)
def test_documents_of_the_owner_may_be_there_before_the_first_publishing(
    clean: HubProcess, ready: Workspace, path: str, may_stay: bool
) -> None:
    Store(clean.directory).create("dataset", "org/owned", private=True, exist_ok=True)
    add_by_hand(clean, "org/owned", {path: b"theirs"})
    done = publish(clean, ready, "org/owned", dry_run=True)
    assert (done.returncode == 0) == may_stay
    assert (f"did not write ({path})" in done.stderr) != may_stay
    Store(clean.directory).delete("dataset", "org/owned")


def test_the_owners_card_is_kept_and_the_dry_run_shows_what_changes(clean: HubProcess, ready: Workspace) -> None:
    Store(clean.directory).create("dataset", "org/mine", private=True)
    terms = "---\nextra_gated_prompt: Do not identify persons.\n---\n# My faces\n\nContact: me@uni.example\n"
    add_by_hand(clean, "org/mine", {"README.md": terms.encode()})
    dry = publish(clean, ready, "org/mine", dry_run=True)
    assert "changes of the card:\n--- README.md on the Hub\n+++ README.md\n" in dry.stdout
    assert "\n+configs:\n" in dry.stdout
    assert "\n-" not in dry.stdout.replace("\n--- ", "\n")
    assert publish(clean, ready, "org/mine").returncode == 0
    now = text(clean, "org/mine", "README.md")
    assert now.startswith(terms.split("---\n# ")[0])
    assert "---\n# My faces\n\nContact: me@uni.example\n" in now
    assert "the card stays as it is" in publish(clean, ready, "org/mine", dry_run=True).stdout


def test_a_card_that_cannot_be_read_is_refused_before_anything_is_sent(clean: HubProcess, ready: Workspace) -> None:
    Store(clean.directory).create("dataset", "org/broken", private=True)
    add_by_hand(clean, "org/broken", {"README.md": b"---\nlicense: [mit\n---\nmine\n"})
    before = files(clean, "org/broken")
    done = publish(clean, ready, "org/broken")
    assert done.returncode == 1
    assert "no valid YAML" in done.stderr
    assert done.stderr.count("\n") == 1
    assert sent(clean) == []
    assert files(clean, "org/broken") == before
    assert branches(clean, "org/broken") == {"main"}
