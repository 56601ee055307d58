"""Data sets of the Hub as sources: which files they are, pinned, streamed and fetched again."""

import hashlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from httpx2 import HTTPError

from captioning.captioner_process import load_here
from captioning.images import UnusableImageError, fetch
from captioning.options import CaptionOptions
from captioning.prompt import read_prompts
from captioning.selection import select
from captioning.sources.hub_dataset import HubDataset, read_hub_dataset
from captioning.stage import caption
from demo.zoo import captioner
from localhub.process import HubProcess
from localhub.store import Store
from tests.captioning.archives import sample, write_parquet, write_tar
from tests.captioning.listing import forked_listing
from tests.captioning.oddities import encoded, picture
from tests.captioning.runs import caption_here
from tests.hubs import fill, run_client
from tests.strange_hub import Request, send_without_end, strange_hub
from workspace.containers import open_file
from workspace.errors import CommunityForensicsError, HubError, UsageError
from workspace.hub_access import HubAccess
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
    fill(folder / "hub", "org/script", {"script.py": b"import datasets\n", "data.bin": b"x"}, "dataset")
    fill(folder / "hub", "org/yaml", {"README.md": b"---\nconfigs: [\n  - a: : b\n---\n", "a.jpg": JPEGS[0]}, "dataset")
    fill(folder / "hub", "org/card", {"README.md": b"---\ndataset_info: [1]\n---\n", "a.jpg": JPEGS[0]}, "dataset")
    fill(folder / "hub", "org/empty", {"README.md": b"# Nothing\n"}, "dataset")
    metadata = b'{"file_name": "1.jpg", "text": "a cat", "license": "cc0-1.0"}\n{"file_name": "2.jpg", "text": null}\n'
    labelled = {"train/1.jpg": JPEGS[0], "train/2.jpg": JPEGS[1], "train/metadata.jsonl": metadata}
    fill(folder / "hub", "org/labelled", labelled, "dataset")
    # A later commit, without which pinning could not be told from luck.
    later = {"data/train-0.parquet": write_parquet(folder / "d.parquet", {"image": JPEGS[7:]}).read_bytes()}
    commits["later"] = Store(folder / "hub").commit(
        "dataset", "org/mixed", add=later, message="other images", date="2025-05-06T07:08:09.000Z"
    )
    with HubProcess(folder / "hub") as running, forked_listing(running):
        yield running, commits


def rows(name: str, *numbers: int) -> list[str]:
    return [f"{name}#row={number:09d}" for number in numbers]


def test_images_are_captioned_at_a_pinned_commit_and_can_be_fetched_again(
    hub: tuple[HubProcess, dict[str, str]], tmp_path: Path
) -> None:
    mixed, plain, later = (hub[1][name] for name in ("org/mixed", "org/plain", "later"))
    places = {
        "all": f"hf://org/mixed@{mixed}:default",
        "one-split": f"hf://org/mixed@{mixed}:default/test",
        "plain": "hf://org/plain",
        "tars": "hf://org/mixed:tars",
    }
    caption_here(tmp_path / "w", places, endpoint=hub[0].endpoint)
    train, test = rows("data/train-0.parquet", 0, 1, 2, 3), rows("data/test-0.parquet", 0, 1)
    expected = {
        **{("all", f"org/mixed@{mixed}/{real_id}"): n for n, real_id in enumerate(train + test)},
        **{("one-split", f"org/mixed@{mixed}/{real_id}"): 4 + n for n, real_id in enumerate(test)},
        **{("plain", f"org/plain@{plain}/{real_id}"): n for n, real_id in enumerate(["a/cat.jpg", "dog.jpg"])},
        **{("tars", f"org/mixed@{later}/shards/0.tar#{1 + n}.jpg"): 6 + n for n in range(2)},
    }
    prompts = read_prompts(Workspace(tmp_path / "w"))
    assert {(prompt.real_source, prompt.real_path): prompt.real_sha256 for prompt in prompts} == {
        (name, f"hf://datasets/{path}"): hashlib.sha256(JPEGS[number]).hexdigest()
        for (name, path), number in expected.items()
    }
    texts = [f"picture {number}" for number in range(6)] + ["a cat", "a dog"]
    for prompt in prompts:
        number = expected[prompt.real_source, prompt.real_path.removeprefix("hf://datasets/")]
        assert prompt.captions == (() if prompt.real_source == "plain" else (texts[number],))
    fetch_again = """
import hashlib, json, sys
from workspace.locator import process_reader

print(json.dumps([hashlib.sha256(process_reader().read(path)).hexdigest() for path in sys.argv[1:]]))
"""
    again = run_client(hub[0], fetch_again, *(prompt.real_path for prompt in prompts), home=tmp_path / "other")
    assert json.loads(again) == [prompt.real_sha256 for prompt in prompts]


def test_what_does_not_exist_is_refused_in_one_line_and_the_digest_depends_on_the_commit(
    hub: tuple[HubProcess, dict[str, str]],
) -> None:
    access = HubAccess(hub[0].endpoint)
    wrong: dict[str, tuple[type[CommunityForensicsError], str]] = {
        "hf://org/none": (HubError, "the data set org/none cannot be read from the Hub"),
        "hf://org/mixed@nothing": (HubError, "the data set org/mixed cannot be read from the Hub"),
        "hf://org/mixed:default/dev": (UsageError, "no split 'dev'; it has train, test"),
        "hf://org/words": (UsageError, "holds no Parquet files, tar archives or images"),
        "hf://org": (UsageError, "is not of the form hf://ORG/NAME"),
    }
    for place, (kind, message) in wrong.items():
        with pytest.raises(kind) as refused:
            select("x", place, hub=access)
        assert message in str(refused.value)
        assert "\n" not in str(refused.value)
    places = [f"hf://org/mixed@{hub[1][name]}:tars" for name in ("org/mixed", "later")] + ["hf://org/mixed:tars"]
    before, after, main = (select("x", place, hub=access).digest for place in places)
    # The same names at another commit may be other images, so they are not captioned into one workspace.
    assert before != after == main


def test_data_sets_that_the_library_does_not_read_are_refused_in_one_line(
    hub: tuple[HubProcess, dict[str, str]], tmp_path: Path
) -> None:
    ask = """
import json
from captioning.sources.hub_files import answer

places = [("script", None), ("yaml", None), ("card", None), ("mixed", "other"), ("empty", None)]
print(json.dumps([answer(f"org/{name}", "main", config)["usage"] for name, config in places]))
"""
    script, yaml, card, other, empty = json.loads(run_client(hub[0], ask, home=tmp_path))
    assert "'other' not found" in other
    assert empty == "it has no data files"
    assert script.endswith("not run: name the Hub's Parquet copy of it, hf://org/script@refs/convert/parquet")
    for refusal in (yaml, card):
        assert refusal.startswith("`datasets` cannot read its card or its files (")
        assert "\n" not in refusal


def test_captions_of_a_folder_of_images_are_those_of_its_metadata(hub: tuple[HubProcess, dict[str, str]]) -> None:
    collection = select("x", "hf://org/labelled", hub=HubAccess(hub[0].endpoint)).collection
    stated = {real_id: collection.image(real_id) for real_id in collection.ids}
    assert {real_id: (image.captions, image.license, image.redistributable) for real_id, image in stated.items()} == {
        "train/1.jpg": (("a cat",), "cc0-1.0", True),
        "train/2.jpg": ((), None, None),
    }


def test_a_hub_that_does_not_answer_ends_the_run_and_skips_no_image(
    hub: tuple[HubProcess, dict[str, str]], tmp_path: Path
) -> None:
    def read(access: HubAccess, place: str) -> str:
        try:
            content = fetch(f"hf://datasets/org/plain@{hub[1]['org/plain']}/{place}", access)
        except UnusableImageError as error:
            return error.reason
        except HubError:
            return "no answer"
        return "read" if content == JPEGS[0] else "other"

    assert [read(HubAccess(hub[0].endpoint), place) for place in ("a/cat.jpg", "gone.jpg")] == ["read", "missing"]
    with HubProcess(tmp_path / "hub") as stopped:
        gone = HubAccess(stopped.endpoint)
    for place in ("a/cat.jpg", "gone.jpg", "train.parquet#row=000000000", "0.tar#1.jpg"):
        assert read(gone, place) == "no answer"
    for place in ("hf://org/plain", f"hf://org/mixed@{hub[1]['org/mixed']}"):
        with pytest.raises(HubError, match="cannot be read from the Hub"):
            select("x", place, hub=gone)


def test_a_container_that_the_hub_refuses_is_not_reported_as_damaged(
    hub: tuple[HubProcess, dict[str, str]],
) -> None:
    for place, name in (("hf://org/mixed", "data/test-0.parquet"), ("hf://org/mixed:tars", "shards/0.tar")):
        hub[0].fail("status", path=f"/resolve/.*{name}", status=403)
        try:
            with pytest.raises(HubError, match=f"{name} cannot be fetched") as refused:
                select("x", place, hub=HubAccess(hub[0].endpoint))
        finally:
            hub[0].clear_faults()
        assert "\n" not in str(refused.value)


# A Hub that needs a token


@pytest.fixture
def private(tmp_path: Path) -> Iterator[HubProcess]:
    """A Hub with private data sets and a private captioner."""
    folder = tmp_path / "private"
    table = write_parquet(tmp_path / "a.parquet", {"image": JPEGS[:2], "text": ["a cat", "..."]}).read_bytes()
    fill(folder, "org/rows", {"train.parquet": table}, "dataset", private=True)
    fill(folder, "org/files", {"dog.jpg": JPEGS[3]}, "dataset", private=True)
    model = {path.name: path.read_bytes() for path in captioner.REPOSITORY.iterdir()}
    fill(folder, "org/captioner", model, private=True)
    with HubProcess(folder, tokens=["hf_reader:read"]) as running:
        yield running


def test_endpoint_and_token_are_taken_from_the_options(
    private: HubProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # where no server listens
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    # The process of the captioner gets neither of them, and imports torch again.
    monkeypatch.setattr("captioning.stage.load_sandboxed", load_here)
    sources = {name: f"hf://org/{name}" for name in ("rows", "files")}
    options = CaptionOptions(
        captioner="org/captioner", copy=True, device="cpu", endpoint=private.endpoint, token="hf_reader"
    )
    summaries = caption(Workspace(tmp_path / "w"), sources, options)
    assert [(each.name, each.from_dataset, each.generated, each.skipped) for each in summaries] == [
        ("files", 0, 1, {}),
        ("rows", 1, 1, {}),
    ]
    for prompt in read_prompts(Workspace(tmp_path / "w")):
        assert hashlib.sha256((tmp_path / "w" / prompt.real_path).read_bytes()).hexdigest() == prompt.real_sha256
        assert str(prompt.captioner).startswith("org/captioner@") or prompt.caption_origin == "dataset"
    written = b"".join(path.read_bytes() for path in (tmp_path / "w").rglob("*") if path.is_file())
    assert b"hf_reader" not in written
    assert private.endpoint.encode() not in written


def test_without_the_token_data_set_and_captioner_are_refused(private: HubProcess, tmp_path: Path) -> None:
    options = CaptionOptions(captioner="org/captioner", device="cpu", endpoint=private.endpoint)
    with pytest.raises(HubError, match=r"the data set org/rows cannot be read from the Hub.*HF_TOKEN"):
        caption(Workspace(tmp_path / "w"), {"rows": "hf://org/rows"}, options)
    (tmp_path / "real").mkdir()
    (tmp_path / "real/a.jpg").write_bytes(JPEGS[0])
    with pytest.raises(UsageError, match=r"the Hub has no org/captioner at 'main', or it is private.*HF_TOKEN"):
        caption(Workspace(tmp_path / "w"), {"x": tmp_path / "real"}, options)


def test_a_data_set_is_named_by_repository_revision_configuration_and_split() -> None:
    assert HubDataset.parse("hf://a/b") == HubDataset("a/b", None, None, None)
    assert HubDataset.parse("hf://a/b@refs/convert/parquet:c d/e") == HubDataset(
        "a/b", "refs/convert/parquet", "c d", "e"
    )
    assert HubDataset.parse("hf://a/b:c") == HubDataset("a/b", None, "c", None)
    for wrong in ("hf://a", "hf://a/b/c", "hf://a/b@", "hf://a/b:", "hf://a/b:c/", "hf://../b", "hf://a/b:c/d/e"):
        with pytest.raises(UsageError, match="is not of the form hf://ORG/NAME"):
            HubDataset.parse(wrong)


@pytest.mark.attack
def test_a_hub_whose_answers_do_not_end_is_one_line() -> None:
    def answer(_: Request, connection: socket.socket) -> None:
        send_without_end(connection, b" " * 65_536)

    with strange_hub(answer) as hub:
        with pytest.raises(HubError, match="is larger than") as error:
            read_hub_dataset("hf://somebody/photos", hub=HubAccess(hub.endpoint))
        assert "\n" not in str(error.value)
        file = f"hf://datasets/somebody/photos@{'1' * 40}/a.jpg"
        with pytest.raises((OSError, HTTPError)):
            open_file(file, HubAccess(hub.endpoint)).read()
