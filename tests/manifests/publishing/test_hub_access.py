"""Which Hub is asked, and with which token, are parameters: nothing is read from the environment or stored for it."""

import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import constants

import community_forensics as cf
from localhub.process import HubProcess
from manifests.building import build
from manifests.options import BuildOptions, PublishOptions
from manifests.publishing.publish import publish_dataset
from manifests.publishing.repository import DatasetOnHub
from tests.hubs import DATE
from tests.hubs import fill as fill_hub
from tests.manifests.making import Builder, sha256
from tests.manifests.publishing.publishing import READER, WRITER, files
from tests.strange_hub import Request, send, send_without_end, strange_hub
from workspace.errors import CommunityForensicsError, HubError
from workspace.hub_access import HubAccess
from workspace.layout import Workspace


@pytest.fixture
def with_images_on_the_hub(clean: HubProcess, filled: Builder, tmp_path: Path) -> Workspace:
    """A workspace with one real image in a private dataset of the Hub."""
    photo = filled.prompts["photos"][0]
    content = {"0.png": Path(photo.real_path).read_bytes()}
    name = f"org/photos-{sha256(tmp_path.name.encode())[:8]}"
    commit = fill_hub(clean.directory, name, content, "dataset", private=True, created_at=DATE)
    place = f"hf://datasets/{name}@{commit}/0.png"
    filled.prompts["photos"][0] = replace(photo, real_path=place)
    return filled.write()


def test_everything_is_built_and_published_by_endpoint_and_token_alone_and_another_token_is_refused(
    clean: HubProcess, with_images_on_the_hub: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = with_images_on_the_hub
    for name in ("HF_ENDPOINT", "HF_TOKEN", "HF_HUB_DISABLE_XET"):
        monkeypatch.delenv(name, raising=False)
    hub = {"endpoint": clean.endpoint, "token": WRITER}
    cf.build_manifest(workspace, cf.BuildOptions(verify="full", **hub))
    assert "a photograph of thing 0" in (workspace.report / "index.html").read_text()
    rows = cf.read_manifest(workspace, ["path", "width", "height"])
    (row,) = rows[rows["path"].str.startswith("hf://")].itertuples()
    assert cf.open_image(workspace, row.path, **hub).size == (row.width, row.height)

    published = publish_dataset(workspace, "org/by-parameters", PublishOptions(**hub))
    assert published.changed
    shards = [path for path in files(clean, "org/by-parameters") if path.startswith("data/")]
    assert sorted(shards) == [shard.path for shard in published.shards]
    # The client's own switch is as it was: the next Hub may have Xet storage.
    assert constants.HF_HUB_DISABLE_XET is False

    with pytest.raises(HubError, match="the token may not write there"):
        publish_dataset(workspace, "org/by-a-reader", PublishOptions(endpoint=clean.endpoint, token=READER))
    with pytest.raises(CommunityForensicsError):
        build(workspace, BuildOptions(verify="full", endpoint=clean.endpoint, token="hf_unknown"))
    assert "HF_ENDPOINT" not in os.environ


@pytest.mark.attack
@pytest.mark.parametrize("attack", ["a body without end", "pages in a circle", "pages of another host"])
def test_a_list_of_files_of_a_hostile_hub_is_one_line_and_the_token_stays(attack: str) -> None:
    def answer(request: Request, connection: socket.socket) -> None:
        if attack == "a body without end":
            send_without_end(connection, b" " * 65_536)
        else:
            host = hub.endpoint if attack == "pages in a circle" else thief.endpoint
            path = request.path.partition("?")[0]
            send(connection, body=b"[]", Link=f'<{host}{path}?cursor=a>; rel="next"')

    with strange_hub(lambda _, connection: send(connection, 500, b"{}")) as thief, strange_hub(answer) as hub:
        dataset = DatasetOnHub("org/name", HubAccess(hub.endpoint, "hf_secret"))
        with pytest.raises(HubError, match="org/name") as error:
            dataset.files("main")
    assert "\n" not in str(error.value)
    assert {request.token for request in thief.requests} <= {None}
    assert {request.token for request in hub.requests} == {"Bearer hf_secret"}
