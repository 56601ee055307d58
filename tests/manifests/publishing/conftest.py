"""A Hub for the tests of this folder, and workspaces to publish."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from localhub.process import HubProcess
from manifests.building import build
from manifests.publishing import upload
from tests.manifests.making import Builder
from tests.manifests.publishing.publishing import READER, WRITER
from workspace.layout import Workspace


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with HubProcess(tmp_path_factory.mktemp("hub"), tokens=[WRITER, f"{READER}:read"]) as hub:
        yield hub


@pytest.fixture
def clean(hub: HubProcess) -> Iterator[HubProcess]:
    """The Hub, without what other tests published: it keeps equal contents once, whoever sends them."""
    before = contents(hub)
    hub.clear_requests()
    yield hub
    hub.clear_faults()
    for path in contents(hub) - before:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def contents(hub: HubProcess) -> set[Path]:
    """The folder of each dataset and the file of each blob."""
    return {*hub.directory.glob("datasets/*/*"), *hub.directory.glob("blobs/*/*")}


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace of many images, which tests only publish."""
    builder = Builder(Workspace.open(tmp_path_factory.mktemp("many") / "workspace"), salt="many")
    generator = builder.generator("org/painter", task="unconditional")
    for _ in range(400):
        builder.sample(generator, None)
    build(builder.write(rows_a_part=400))
    return builder.workspace


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Lets something happen when all is planned and the first shard is to be packed."""
    pack = upload.pack_shards

    def arrange(event: Callable[[], object]) -> None:
        def pack_later(*arguments: Any) -> Iterator[Any]:
            monkeypatch.setattr(upload, "pack_shards", pack)  # once, and not while the event itself publishes
            event()
            yield from pack(*arguments)

        monkeypatch.setattr(upload, "pack_shards", pack_later)

    return arrange
