"""A Hub that cannot be reached, answers errors or hangs is one line that says what to do, in every stage that asks it,
and what is there stays."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import workspace.hub_session
import workspace.retry
from captioning.options import CaptionOptions
from captioning.stage import caption
from crawler.crawl import crawl
from crawler.options import CrawlOptions
from localhub.process import HubProcess
from manifests.building import build
from manifests.options import PublishOptions
from manifests.publishing.publish import publish_dataset
from samplers.forecasting.forecast import forecast
from samplers.options import SampleOptions
from samplers.running.supervisor import sample
from tests.manifests.making import Builder, fill
from tests.records import catalog_entry
from tests.samplers.inputs import write_catalog
from workspace.errors import HubError
from workspace.layout import Workspace

LATER = "run the same command again later"
NETWORK = "check the network and"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = fill(Builder(Workspace.open(tmp_path_factory.mktemp("away") / "workspace"))).write()
    build(workspace)
    return workspace


@pytest.fixture(scope="module", params=["closed", "failing", "hanging"])
def away(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Such a Hub, and what is to be done."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        if request.param == "failing":
            with HubProcess(tmp_path_factory.mktemp("hub")) as hub:
                hub.fail("status", status=500)
                yield hub.endpoint, LATER
            return
        if request.param == "hanging":
            listening.listen(100)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", NETWORK


def _sample(built: Workspace, tmp_path: Path, endpoint: str) -> None:
    workspace = Workspace.open(tmp_path / "new")
    write_catalog(workspace, [catalog_entry(task="unconditional")])
    sample(workspace, SampleOptions(endpoint=endpoint, weights_dir=tmp_path / "weights", device="cpu"))


def _calibrate(built: Workspace, tmp_path: Path, endpoint: str) -> None:
    workspace = Workspace.open(tmp_path / "new")
    write_catalog(workspace, [catalog_entry()])
    forecast(workspace, SampleOptions(endpoint=endpoint, weights_dir=tmp_path / "weights"), calibrate=True)


STAGES: dict[str, Callable[[Workspace, Path, str], object]] = {
    "crawl": lambda built, _, endpoint: crawl(built, CrawlOptions(endpoint=endpoint)),
    "caption": lambda _, folder, endpoint: caption(
        Workspace.open(folder), {"photos": "hf://org/photos"}, CaptionOptions(endpoint=endpoint, device="cpu")
    ),
    "sample": _sample,
    "calibrate": _calibrate,
    "publish": lambda built, _, endpoint: publish_dataset(built, "org/a", PublishOptions(endpoint=endpoint, token="x")),
}


@pytest.mark.parametrize("stage", STAGES)
def test_a_hub_that_is_away_is_one_line_with_what_to_do_and_what_is_there_stays(
    stage: str, away: tuple[str, str], built: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint, remedy = away
    # Waits of a second instead of minutes; the number of tries stays.
    monkeypatch.setattr(workspace.retry, "MAX_BACKOFF", 0.01)
    monkeypatch.setattr(workspace.hub_session, "_QUICK_TIMEOUT", 0.1)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DOWNLOAD_TIMEOUT", 0.1)
    before = {path: path.read_bytes() for path in built.root.rglob("*") if path.is_file()}
    with pytest.raises(HubError) as failed:
        STAGES[stage](built, tmp_path, endpoint)
    line = str(failed.value)
    assert "\n" not in line
    assert remedy in line or "later, run the same command again" in line
    assert {path: path.read_bytes() for path in before} == before
