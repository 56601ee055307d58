"""The zoo on a Hub: every build has the same commits, and after an interrupt no repository is incomplete."""

import multiprocessing
import time
from pathlib import Path

import pytest

from demo.zoo.building import KIND, fill, is_built, put
from demo.zoo.catalogue import repositories
from demo.zoo.repository import Repository, seeded
from localhub.store import Store
from tests.scale import scaled
from tests.zoo import copy_zoo, zoo

MAX_BYTES = 120_000_000


def fill_with_two_threads(hub: Path) -> None:
    """In a process of another interpreter, which has another hash seed."""
    import torch

    torch.set_num_threads(2)
    fill(hub)


def commits(hub: Path) -> dict[str, str]:
    store = Store(hub)
    return {
        repository.repo_id: store.commit_of(store.repo(KIND, repository.repo_id)).id
        for repository in repositories()
        if is_built(store, repository)
    }


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A Hub whose building was killed when a few repositories were complete; and the commits of these."""
    hub = tmp_path_factory.mktemp("interrupted")
    building = multiprocessing.get_context("forkserver").Process(target=fill_with_two_threads, args=(hub,))
    building.start()
    deadline = time.monotonic() + 240
    while len(commits(hub)) < 5 and time.monotonic() < deadline:
        time.sleep(0.2)
    building.kill()
    building.join()
    return hub, commits(hub)


@pytest.mark.timeout(600)
def test_an_interrupted_building_continues_and_ends_with_the_commits_of_another_process_with_more_threads(
    interrupted: tuple[Path, dict[str, str]],
) -> None:
    hub, before = interrupted
    assert 5 <= len(before) < len(repositories())
    # `make soak` builds all others here; `make test` every twelfth, and has the rest from the other process.
    missing = [repository.repo_id for repository in repositories() if repository.repo_id not in before]
    copy_zoo(hub, scaled([repo_id for number, repo_id in enumerate(missing) if number % 12], []))
    fill(hub)
    after = commits(hub)
    assert before.items() <= after.items()
    assert len(after) == len(repositories())
    assert after == commits(zoo())
    assert sum(path.stat().st_size for path in hub.rglob("*") if path.is_file()) < MAX_BYTES

    pinned = {item.repo_id: item.commit_id for item in repositories() if item.commit_id is not None}
    assert len(pinned) == 2
    assert pinned.items() <= after.items()


def test_a_repository_that_was_made_but_not_filled_is_not_built(tmp_path: Path) -> None:
    def build(folder: Path) -> None:
        (folder / "vae").mkdir()
        (folder / "vae" / "config.json").write_text("{}")

    store = Store(tmp_path)
    repository = Repository("someone/something", build, downloads=3, likes=2, gated="auto")
    assert not is_built(store, repository)
    store.create(KIND, repository.repo_id)
    assert not is_built(store, repository)
    put(store, repository)
    assert is_built(store, repository)
    assert "vae/config.json" in store.commit_of(store.repo(KIND, repository.repo_id)).files


def test_the_hub_has_the_counts_and_settings_of_the_zoo(tmp_path: Path) -> None:
    def build(folder: Path) -> None:
        (folder / "README.md").write_text("# -")

    repository = Repository(
        "a/b", build, downloads=31, likes=2, gated="manual", disabled=True, created_at="2023-01-02T03:04:05.000Z"
    )
    store = Store(tmp_path)
    put(store, repository)
    said = store.repo(KIND, "a/b")
    assert (said.downloads, said.likes, said.gated, said.disabled) == (31, 2, "manual", True)
    assert said.created_at == repository.created_at


def test_seeded_weights_depend_on_the_name_and_change_no_other_random_numbers() -> None:
    import torch

    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    with seeded("a"):
        first = torch.rand(3)
    with seeded("a"):
        second = torch.rand(3)
    with seeded("b"):
        other = torch.rand(3)
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(torch.rand(3), expected)
