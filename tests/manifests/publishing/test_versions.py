"""Versions of a dataset: each one is a tag, and costs what is new."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from huggingface_hub import HfApi

from localhub.process import HubProcess
from localhub.store import Store
from manifests.building import build
from manifests.manifest import ManifestRow
from manifests.options import BuildOptions, PublishOptions
from manifests.publishing.changelog import CHANGELOG_FILE, parse_changelog
from tests.manifests.making import Builder, rows_of
from tests.manifests.publishing.publishing import WRITER, add_by_hand, child, files, history, publish, text
from workspace import recipe
from workspace.errors import UsageError
from workspace.layout import Workspace

#: Sides of the pictures: as large, beside what Parquet needs for a row, as small ones of real generators.
SIDE = 256

LOADED = """
import json, sys
import datasets
datasets.config.USE_PARQUET_EXPORT = False
repository, *revisions = sys.argv[1:]
print(json.dumps({
    revision: sorted(row["sha256"] for split in datasets.load_dataset(repository, revision=revision).values()
        for row in split.remove_columns("image"))
    for revision in revisions}))
"""


class World:
    """A workspace of two rounds, which are made and published one after the other."""

    def __init__(self, folder: Path, side: int = 16) -> None:
        """`side`: of its pictures, in pixels."""
        self.builder = Builder(Workspace.open(folder / "workspace"), salt=folder.name)
        self.side, self.rounds = side, 0

    @property
    def workspace(self) -> Workspace:
        return self.builder.workspace

    def grow(self, images: int, photos: int, **options: object) -> list[ManifestRow]:
        """One more round: a generator, further images of those of before, and photographs; returns the manifest."""
        self.rounds += 1
        with_update = self.rounds > 1
        for stage, settings in {"crawl": {"limit": self.rounds}, "sample": {"images": images}}.items():
            assert recipe.pin(self.workspace, stage, {"stage": stage, **settings}, with_update) == self.rounds
        prompts = [
            self.builder.real("photos", 1000 * self.rounds + number, round=self.rounds) for number in range(photos)
        ]
        base = f"org/base-{self.rounds}"
        self.builder.generator(f"org/painter-{self.rounds}", base_model=base, lineage=(base,), round=self.rounds)
        for generator in self.builder.catalog:
            for number in range(images):
                index = 500 * (self.rounds - generator.round) + number
                picture = self.builder.picture(generator.generator, index, self.side)
                prompt = prompts[number % len(prompts)]
                seed = generator.rank * 10_000 + index
                self.builder.sample(generator, prompt, picture, index=index, round=self.rounds, seed=seed)
        self.builder.write(rows_a_part=500)
        build(self.workspace, BuildOptions(**options))  # type: ignore[arg-type]
        return rows_of(self.workspace)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@dataclass(frozen=True)
class Grown:
    """A dataset that was published after each of two rounds: its files, and of the second time what was printed and how
    many bytes the Hub got."""

    world: World
    before: dict[str, str]
    after: dict[str, str]
    printed: str
    received: int


@pytest.fixture(scope="module")
def grown(hub: HubProcess, tmp_path_factory: pytest.TempPathFactory) -> Grown:
    world = World(tmp_path_factory.mktemp("grown"), SIDE)
    listings = []
    for images in (12, 10):
        world.grow(images, images)
        hub.clear_requests()
        done = publish(hub, world.workspace, "org/grown")
        assert done.returncode == 0, done.stderr
        listings.append(files(hub, "org/grown"))
    return Grown(world, *listings, done.stdout, sum(row["received"] for row in hub.requests()))


def test_the_next_round_costs_what_is_new(grown: Grown) -> None:
    new = sum(row.file_size or 0 for row in rows_of(grown.world.workspace) if row.round == 2)
    assert new < grown.received <= 1.05 * new
    shards = {path: content for path, content in grown.before.items() if path.startswith("data/")}
    assert shards.items() <= grown.after.items()
    assert len(shards) == 2


def test_a_former_round_still_reads_under_its_tag(hub: HubProcess, grown: Grown) -> None:
    rows = rows_of(grown.world.workspace)
    loaded = json.loads(child(hub, LOADED, "org/grown", "round-1", "round-2", "main"))
    assert loaded["round-1"] == sorted(row.sha256 for row in rows if row.round == 1)
    assert loaded["round-2"] == loaded["main"] == sorted(row.sha256 for row in rows)


def test_the_changelog_says_what_each_version_added_and_which_settings_changed(hub: HubProcess, grown: Grown) -> None:
    assert "tag round-2: generators 2 (+1), generated images 32 (+20), real images 22 (+10)" in grown.printed
    assert "changed: sample: images 10 (was 12)" in grown.printed
    card = text(hub, "org/grown", "README.md")
    assert (
        "| `round-2` | 2 | 2 (+1) | 32 (+20) | 22 (+10) | crawl: limit 2 (was 1); sample: images 10 (was 12) |" in card
    )
    assert "| `round-1` | 1 | 1 (+1) | 12 (+12) | 12 (+12) |  |" in card
    assert card.index("`round-2` | 2") < card.index("`round-1` | 1")
    assert 'revision="round-2"' in card


def test_the_same_version_again_is_no_other_one(hub: HubProcess, grown: Grown) -> None:
    tags = HfApi(hub.endpoint, token=WRITER).list_repo_refs("org/grown", repo_type="dataset").tags
    again = publish(hub, grown.world.workspace, "org/grown")
    assert "nothing to send: the Hub has this version already" in again.stdout
    assert "its tag is round-2" in again.stdout
    assert files(hub, "org/grown") == grown.after
    assert HfApi(hub.endpoint, token=WRITER).list_repo_refs("org/grown", repo_type="dataset").tags == tags


def test_a_tag_that_could_not_be_made_is_made_by_the_next_run_and_one_of_other_content_is_refused(
    clean: HubProcess, world: World
) -> None:
    store = Store(clean.directory)
    world.grow(2, 2)
    clean.fail("status", path="/tag/", status=403, body={"error": "not yours"})
    done = publish(clean, world.workspace, "org/named", tag="v1")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    clean.clear_faults()
    assert store.repo("dataset", "org/named").tags == {}
    done = publish(clean, world.workspace, "org/named", tag="v1")
    assert done.returncode == 0, done.stderr
    assert list(store.repo("dataset", "org/named").tags) == ["v1"]
    assert files(clean, "org/named", "v1") == files(clean, "org/named")

    before = history(clean, "org/named")
    world.grow(2, 2)
    clean.clear_requests()
    done = publish(clean, world.workspace, "org/named", tag="v1")
    assert done.returncode == 2
    assert "org/named has the tag v1 already, with other content, and a tag never moves: name another" in done.stderr
    assert done.stderr.count("\n") == 1
    assert history(clean, "org/named") == before
    assert not [row for row in clean.requests() if row["method"] == "PUT"]
    done = publish(clean, world.workspace, "org/named", tag="v2")
    assert "tag v2: " in done.stdout
    assert sorted(store.repo("dataset", "org/named").tags) == ["v1", "v2"]
    # Another name for the same version.
    assert publish(clean, world.workspace, "org/named", tag="final").returncode == 0
    tags = store.repo("dataset", "org/named").tags
    assert tags["final"] == tags["v2"]


def test_another_version_of_the_same_round_has_a_tag_of_its_own(clean: HubProcess, world: World) -> None:
    world.grow(3, 3)
    publish(clean, world.workspace, "org/again")
    world.builder.change("org/painter-1", 2, status="blank", image=None, image_name=None, sha256=None)
    del world.builder.samples["org/painter-1"][2]
    for path in world.workspace.samples_of("org/painter-1").iterdir():
        path.unlink()
    world.builder.write()
    build(world.workspace)
    done = publish(clean, world.workspace, "org/again")
    assert "tag round-1.2: generators 1, generated images 2 (−1), real images 2 (−1)" in done.stdout
    tags = Store(clean.directory).repo("dataset", "org/again").tags
    assert sorted(tags) == ["round-1", "round-1.2"]
    # The first rounds again, which have their tag already.
    assert files(clean, "org/again", "round-1") != files(clean, "org/again")


def test_a_changelog_of_somebody_else_is_refused_in_a_line(clean: HubProcess, ready: Workspace) -> None:
    publish(clean, ready, "org/foreign")
    add_by_hand(clean, "org/foreign", {CHANGELOG_FILE: b"[" * 99_999})
    done = publish(clean, ready, "org/foreign")
    assert done.returncode == 1
    assert f"{CHANGELOG_FILE} was not written by cf-publish" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("content", [b"[]", b"{", b'{"versions": [{"tag": 1}], "contents": {}}', b"\xff"])
def test_what_is_no_changelog_is_not_taken_for_one(content: bytes) -> None:
    with pytest.raises(ValueError, match="not those that cf-publish writes"):
        parse_changelog(content)


@pytest.mark.parametrize(
    "tag", ["", "main", "a b", "../x", "a..b", "x.lock", "-v", "v/1", "cf-publish", "0123456", "ü"]
)
def test_what_cannot_be_a_tag_is_refused(tag: str) -> None:
    with pytest.raises(UsageError, match="--tag"):
        PublishOptions(tag=tag)
