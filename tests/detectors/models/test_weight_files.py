"""Weights from the Hub, by real requests to an embedded one, and from this machine."""

import hashlib

import pytest

from detectors.models.weight_files import located
from localhub.process import HubProcess
from localhub.store import Store
from tests.hubs import fill
from workspace.errors import HubError, UsageError
from workspace.hub_access import HubAccess

FILES = {
    "config.json": b"{}",
    "preprocessor_config.json": b"{}",
    "model.safetensors": b"weights",
    "pytorch_model.bin": b"a pickle",
    "README.md": b"words",
}


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub")
    fill(folder, "org/backbone", dict(FILES))
    fill(folder, "org/pickled", {"config.json": b"{}", "pytorch_model.bin": b"a pickle"})
    return folder


@pytest.fixture
def hub(directory, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    with HubProcess(directory) as running:
        yield running


def commit(directory):
    store = Store(directory)
    return store.commit_of(store.repo("model", "org/backbone")).id


def test_a_repository_is_pinned_and_only_safetensors_and_configuration_are_downloaded(hub, directory):
    found = located("org/backbone", HubAccess(hub.endpoint))
    assert found.name == f"org/backbone@{commit(directory)}"
    assert {path.name for path in found.path.iterdir()} == {
        "config.json",
        "preprocessor_config.json",
        "model.safetensors",
    }
    assert found.file.read_bytes() == b"weights"


def test_what_was_downloaded_is_found_by_its_commit_without_a_request(directory, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    with HubProcess(directory) as running:
        endpoint = running.endpoint
        name = located("org/backbone", HubAccess(endpoint)).name
    assert located(name, HubAccess(endpoint)).name == name


def test_a_repository_that_is_not_there_is_one_line(hub):
    with pytest.raises(UsageError, match=r"start=org/nothing: the Hub has no such repository.*check the name"):
        located("org/nothing", HubAccess(hub.endpoint))


def test_a_repository_without_safetensors_is_one_line(hub):
    with pytest.raises(UsageError, match=r"has no model\.safetensors"):
        _ = located("org/pickled", HubAccess(hub.endpoint)).file


def test_a_hub_that_is_away_is_one_line_that_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(
        HubError, match=r"start=org/backbone cannot be downloaded .*name a file or folder with --set start=PATH"
    ):
        located("org/backbone", HubAccess("http://127.0.0.1:9"))


def test_a_file_and_a_folder_are_named_by_their_content(tmp_path):
    folder = tmp_path / "some-model"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()[:16]
    assert located(str(folder)).name == f"some-model@sha256-{digest}"
    assert located(str(folder / "model.safetensors")).name == f"model.safetensors@sha256-{digest}"


@pytest.mark.parametrize("text", ["./none", "/none/at/all", "not a name", "a/b/c"])
def test_what_is_neither_a_file_nor_a_repository_is_one_line(text):
    with pytest.raises(
        UsageError, match=r"weights=.*: there is no such file or folder, and it is no ORG/NAME of the Hub"
    ):
        located(text, setting="weights")
