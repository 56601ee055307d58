"""captioning/weights.py: exactly the needed files, from an embedded Hub, verified, and once."""

import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from captioning.captioner import CaptionerReference
from captioning.options import DEFAULT_CAPTIONER
from captioning.weights import pin
from demo.zoo.captioner import COMMIT_ID, REPO_ID, REPOSITORY
from localhub.process import HubProcess
from localhub.store import Store
from tests.manifests.commands import Done, run
from tests.strange_hub import Request, send, send_without_end, strange_hub
from workspace import command_line
from workspace.errors import HubError, UsageError
from workspace.hub_access import HubAccess

BOTH = "somebody/blip-of-both-kinds"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hub's directory: the stand-in, one with every kind of weights, and one without any."""
    root = tmp_path_factory.mktemp("hub")
    store = Store(root)
    files = {path.name: path for path in REPOSITORY.iterdir()}
    several = {"model.safetensors": b"safe", "tf_model.h5": b"tensorflow", "onnx/model.onnx": b"onnx"}
    for repo_id, content, commit in (
        (REPO_ID, files, COMMIT_ID),
        (BOTH, files | several, None),
        ("somebody/words", {"config.json": b"{}"}, None),
    ):
        store.create("model", repo_id)
        store.commit(
            "model", repo_id, add=dict(content), message="files", date="2024-01-01T00:00:00.000Z", commit_id=commit
        )
    return root


@pytest.fixture(scope="module")
def hub(directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with HubProcess(directory, request_log=tmp_path_factory.mktemp("log") / "requests") as running:
        yield running


def fetch(endpoint: str, captioner: str, cache: Path) -> Done:
    """What a command prints that pins and fetches a captioner, and its exit code."""
    hub = HubAccess(endpoint)

    def work() -> None:
        pinned = pin(CaptionerReference.parse(captioner), hub)
        print(pinned.name)
        print(pinned.fetch(hub))

    def command() -> None:
        command_line.run(work)

    with mock.patch("huggingface_hub.constants.HF_HUB_CACHE", str(cache)):
        return run(command)


def test_only_the_needed_files_are_downloaded_and_only_once(hub: HubProcess, tmp_path: Path) -> None:
    first = fetch(hub.endpoint, BOTH, tmp_path)
    assert first.returncode == 0, first.stderr
    name, folder = first.stdout.split()
    repository, _, commit = name.partition("@")
    assert repository == BOTH
    assert len(commit) == 40
    needed = {path.name for path in REPOSITORY.iterdir()} - {"README.md", "pytorch_model.bin"} | {"model.safetensors"}
    assert {path.name for path in Path(folder).iterdir()} == needed
    # Pinned to its commit, it is found without a Hub.
    again = fetch("http://127.0.0.1:9", name, tmp_path)
    assert (again.returncode, again.stdout, again.stderr) == (0, first.stdout, "")


@pytest.fixture
def cached(hub: HubProcess, tmp_path: Path) -> Path:
    """The stand-in's folder in the Hub client's cache of `tmp_path`."""
    return Path(fetch(hub.endpoint, DEFAULT_CAPTIONER, tmp_path).stdout.split()[1])


@pytest.mark.parametrize("name", ["pytorch_model.bin", "config.json"])
def test_a_flipped_byte_in_the_cache_is_found(hub: HubProcess, tmp_path: Path, cached: Path, name: str) -> None:
    blob = (cached / name).resolve()
    whole = blob.read_bytes()
    blob.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    ended = fetch(hub.endpoint, DEFAULT_CAPTIONER, tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"error: {blob} is damaged: ")
    assert "Remove that file and run the same command again" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_an_interrupted_download_is_completed(hub: HubProcess, tmp_path: Path, cached: Path) -> None:
    for name in ("pytorch_model.bin", "tokenizer.json"):
        (cached / name).resolve().unlink()
        (cached / name).unlink()
    ended = fetch(hub.endpoint, DEFAULT_CAPTIONER, tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert {path.name for path in cached.iterdir()} == {path.name for path in REPOSITORY.iterdir()} - {"README.md"}


@pytest.mark.parametrize(
    ("captioner", "message"),
    [
        ("no/such-model", "the Hub has no no/such-model at 'main'"),
        (f"{REPO_ID}@v9", f"the Hub has no {REPO_ID} at 'v9'"),
        (f"{REPO_ID}@{'0' * 40}", f"the Hub has no {REPO_ID} at '0000"),
        (
            "somebody/words",
            "is not an image-to-text model of transformers: it lacks preprocessor_config.json, model.safetensors or",
        ),
    ],
)
def test_a_captioner_that_does_not_exist_is_refused_with_one_line(
    hub: HubProcess, tmp_path: Path, captioner: str, message: str
) -> None:
    ended = fetch(hub.endpoint, captioner, tmp_path)
    assert ended.returncode == 2, ended.stderr
    assert message in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr


def test_a_folder_is_pinned_by_its_content(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(REPOSITORY, tmp_path / "mine"))
    before = pin(CaptionerReference.parse(str(folder)))
    assert before.fetch() == folder
    assert before.name.startswith("mine@sha256-")
    (folder / "README.md").write_text("another card")
    assert pin(CaptionerReference.parse(str(folder))) == before
    configuration = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(json.dumps(configuration | {"do_normalize": False}))
    assert pin(CaptionerReference.parse(str(folder))).name != before.name
    (folder / "pytorch_model.bin").unlink()
    with pytest.raises(UsageError, match=r"lacks model\.safetensors or pytorch_model\.bin"):
        pin(CaptionerReference.parse(str(folder)))


@pytest.mark.attack
def test_a_commit_without_end_is_one_line() -> None:
    def answer(_: Request, connection: socket.socket) -> None:
        send_without_end(connection, b" " * 65_536)

    with strange_hub(answer) as hub, pytest.raises(HubError, match="is larger than") as error:
        pin(CaptionerReference.parse("somebody/blip"), HubAccess(hub.endpoint))
    assert "\n" not in str(error.value)


@pytest.mark.attack
@pytest.mark.parametrize("attack", ["a body without end", "an etag that is a path", "more than the disk holds"])
def test_weights_of_a_hostile_hub_are_one_line_and_stay_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attack: str
) -> None:
    size = 1 << 60 if attack == "more than the disk holds" else 1000
    tree = [
        {"type": "file", "path": name, "oid": "a" * 40, "size": size}
        for name in ("config.json", "preprocessor_config.json", "model.safetensors")
    ]

    def answer(request: Request, connection: socket.socket) -> None:
        if "/api/" in request.path:
            body = json.dumps(tree) if "/tree/" in request.path else json.dumps({"id": "a/b", "sha": "1" * 40})
            send(connection, body=body.encode())
        elif request.method == "HEAD" or not request.path.endswith("model.safetensors"):
            etag = "../../../../escaped" if attack == "an etag that is a path" else f'"{len(request.path)}"'
            body = b"" if request.method == "HEAD" else b"{}"
            send(connection, body=body, Content_Length="2", ETag=etag, X_Repo_Commit="1" * 40)
        else:
            send_without_end(connection)

    cache = tmp_path / "a" / "b" / "c" / "cache"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    pinned = pin(CaptionerReference.parse("a/b@" + "1" * 40))
    with strange_hub(answer) as hub, pytest.raises((HubError, UsageError)) as error:
        pinned.fetch(HubAccess(hub.endpoint, "hf_secret"))
    assert "\n" not in str(error.value)
    found = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert all(path.is_relative_to(cache) for path in found)
    assert all(path.stat().st_size < 1 << 20 for path in found)
