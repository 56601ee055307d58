"""Data sets of the Hub as sources: which files they are, pinned, streamed and fetched again."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from captioning.prompt import read_prompts
from captioning.sources.hub_dataset import HubPlace
from demo.zoo import captioner
from localhub.process import HubProcess
from localhub.store import Store
from tests.captioning.archives import sample, write_parquet, write_tar
from tests.captioning.oddities import encoded, picture
from tests.captioning.test_cli import run
from tests.hubs import fill, run_client
from workspace.errors import UsageError
from workspace.layout import Workspace

JPEGS = [encoded(picture(16 + number, 16), "JPEG") for number in range(8)]
CARD = b"""---
configs:
- config_name: default
  data_files:
  - {split: train, path: data/train-*}
  - {split: test, path: data/test-*}
- config_name: tars
  data_files: shards/*.tar
---
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[HubProcess, dict[str, str]]]:
    """A Hub with two data sets, and their commits."""
    folder = tmp_path_factory.mktemp("hub")
    texts = [f"picture {number}" for number in range(6)]
    train = write_parquet(folder / "a.parquet", {"image": JPEGS[:4], "text": texts[:4]}, group=2).read_bytes()
    test = write_parquet(folder / "b.parquet", {"image": JPEGS[4:6], "text": texts[4:]}).read_bytes()
    tar = write_tar(folder / "c.tar", [*sample("1", JPEGS[6], "a cat"), *sample("2", JPEGS[7], "a dog")]).read_bytes()
    files = {"README.md": CARD, "data/train-0.parquet": train, "data/test-0.parquet": test, "shards/0.tar": tar}
    commits = {"org/mixed": fill(folder / "hub", "org/mixed", files, "dataset")}
    plain = {"a/cat.jpg": JPEGS[0], "dog.jpg": JPEGS[1], "README.md": b"# Pictures\n"}
    commits["org/plain"] = fill(folder / "hub", "org/plain", plain, "dataset")
    fill(folder / "hub", "org/words", {"a.csv": b"text\nhello\n"}, "dataset")
    # A later commit, without which pinning could not be told from luck.
    later = {"data/train-0.parquet": write_parquet(folder / "d.parquet", {"image": JPEGS[7:]}).read_bytes()}
    commits["later"] = Store(folder / "hub").commit(
        "dataset", "org/mixed", add=later, message="other images", date="2025-05-06T07:08:09.000Z"
    )
    with HubProcess(folder / "hub") as running:
        yield running, commits


def rows(name: str, *numbers: int) -> list[str]:
    return [f"{name}#row={number:09d}" for number in numbers]


def test_images_are_captioned_from_pinned_places_and_can_be_fetched_again(
    hub: tuple[HubProcess, dict[str, str]], tmp_path: Path
) -> None:
    mixed, plain, later = (hub[1][name] for name in ("org/mixed", "org/plain", "later"))
    places = {
        "all": f"hf://org/mixed@{mixed}",
        "one-split": f"hf://org/mixed@{mixed}:default/test",
        "plain": "hf://org/plain",
        "tars": "hf://org/mixed:tars",
    }
    sources = [argument for name, place in places.items() for argument in ("--source", f"{name}={place}")]
    environment = {**hub[0].environment(), "HF_HOME": str(tmp_path / "home")}
    ended = run(*sources, "--workspace", tmp_path / "w", "--captioner", captioner.REPOSITORY, **environment)
    assert ended.returncode == 0, ended.stderr
    train, test = rows("data/train-0.parquet", 0, 1, 2, 3), rows("data/test-0.parquet", 0, 1)
    expected = {
        **{("all", f"org/mixed@{mixed}/{real_id}"): n for n, real_id in enumerate(train + test)},
        **{("one-split", f"org/mixed@{mixed}/{real_id}"): 4 + n for n, real_id in enumerate(test)},
        **{("plain", f"org/plain@{plain}/{real_id}"): n for n, real_id in enumerate(["a/cat.jpg", "dog.jpg"])},
        **{("tars", f"org/mixed@{later}/shards/0.tar#{1 + n}.jpg"): 6 + n for n in range(2)},
    }
    prompts = read_prompts(Workspace.open(tmp_path / "w"))
    assert {(prompt.real_source, prompt.real_path): prompt.real_sha256 for prompt in prompts} == {
        (name, f"hf://datasets/{path}"): hashlib.sha256(JPEGS[number]).hexdigest()
        for (name, path), number in expected.items()
    }
    said = [f"picture {number}" for number in range(6)] + ["a cat", "a dog"]
    for prompt in prompts:
        number = expected[prompt.real_source, prompt.real_path.removeprefix("hf://datasets/")]
        assert prompt.captions == (() if prompt.real_source == "plain" else (said[number],))
    fetch = """
import hashlib, json, sys
from pathlib import Path
from manifests.images import ImageReader
from workspace.layout import Workspace

images = ImageReader(Workspace(Path(sys.argv[1])))
print(json.dumps([hashlib.sha256(images.read(path)).hexdigest() for path in sys.argv[2:]]))
"""
    again = run_client(hub[0], fetch, str(tmp_path), *(prompt.real_path for prompt in prompts), home=tmp_path / "other")
    assert json.loads(again) == [prompt.real_sha256 for prompt in prompts]


def test_what_cannot_be_had_is_said_in_one_line_and_another_commit_is_another_choice(
    hub: tuple[HubProcess, dict[str, str]], tmp_path: Path
) -> None:
    select = """
import json, sys
from captioning.selection import select
from workspace.errors import CommunityForensicsError

def tried(place):
    try:
        return [0, select(f"x={place}", None).digest]
    except CommunityForensicsError as error:
        return [error.exit_code, str(error)]

print(json.dumps([tried(place) for place in sys.argv[1:]]))
"""
    wrong = {
        "hf://org/none": (1, "the Hub does not give the data set org/none"),
        "hf://org/mixed@nothing": (1, "the Hub does not give the data set org/mixed"),
        "hf://org/mixed:other": (2, "other"),
        "hf://org/mixed:default/dev": (2, "no split 'dev'; it has train, test"),
        "hf://org/words": (2, "holds no Parquet files, tar archives or images"),
        "hf://org": (2, "is not of the form hf://ORG/NAME"),
    }
    right = [f"hf://org/mixed@{hub[1][name]}:tars" for name in ("org/mixed", "later")] + ["hf://org/mixed:tars"]
    *refused, before, after, main = json.loads(run_client(hub[0], select, *wrong, *right, home=tmp_path))
    for (code, message), (expected, said) in zip(refused, wrong.values(), strict=True):
        assert code == expected
        assert said in message
        assert "\n" not in message
    # The same names at another commit may be other images, so they are not captioned into one workspace.
    assert before != after == main


def test_a_hub_that_does_not_answer_ends_the_run_and_skips_no_image(
    hub: tuple[HubProcess, dict[str, str]], tmp_path: Path
) -> None:
    read = """
import os, sys
from captioning.images import UnusableImageError, read_image
from workspace.errors import HubError

for place in ("a/cat.jpg", "gone.jpg", "train.parquet#row=000000000", "0.tar#1.jpg"):
    try:
        read_image(f"hf://datasets/org/plain@{sys.argv[1]}/{place}")
    except UnusableImageError as error:
        print(error.reason)
    except HubError:
        print("no answer")
    else:
        print("read")
"""
    commit = hub[1]["org/plain"]
    assert run_client(hub[0], read, commit, home=tmp_path).split("\n")[:2] == ["read", "missing"]
    with HubProcess(tmp_path / "hub") as stopped:
        pass
    assert run_client(stopped, read, commit, home=tmp_path / "other").split("\n")[:4] == ["no answer"] * 4


def test_a_place_is_a_repository_perhaps_with_revision_configuration_and_split() -> None:
    assert HubPlace.parse("hf://a/b") == HubPlace("a/b", None, None, None)
    assert HubPlace.parse("hf://a/b@refs/convert/parquet:c d/e") == HubPlace("a/b", "refs/convert/parquet", "c d", "e")
    assert HubPlace.parse("hf://a/b:c") == HubPlace("a/b", None, "c", None)
    for wrong in ("hf://a", "hf://a/b/c", "hf://a/b@", "hf://a/b:", "hf://a/b:c/", "hf://../b", "hf://a/b:c/d/e"):
        with pytest.raises(UsageError):
            HubPlace.parse(wrong)
