"""One Hub for the tests that only read, one for each test that writes."""

from collections.abc import Iterator

import httpx2
import pytest
from huggingface_hub import HfApi, constants

from localhub.process import HubProcess
from tests.hubs import DATE, fill, hub  # noqa: F401

PIPELINE = b'{"_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.42.1"}'
CARD = b"---\nlicense: mit\ntags: [text-to-image, toy]\nbase_model: zoo/base\n---\n# A model\n"
WEIGHTS = bytes(range(256)) * 12_000


@pytest.fixture(autouse=True)
def _no_xet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)


@pytest.fixture(scope="session")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A Hub with some repositories, for tests that change nothing."""
    directory = tmp_path_factory.mktemp("shown")
    model = {"README.md": CARD, "model_index.json": PIPELINE, "unet/diffusion.safetensors": WEIGHTS, "a b/ü.txt": b"x"}
    fill(directory, "zoo/sd", model, downloads=500, downloads_all_time=900, likes=7)
    for number in range(12):
        fill(directory, f"zoo/small-{number:02}", {"config.json": b'{"model_type": "bert"}'}, downloads=number // 2)
    fill(directory, "zoo/gated", {"README.md": CARD, "w.bin": b"w"}, gated="auto")
    fill(directory, "zoo/manual", {"w.bin": b"w"}, gated="manual")
    fill(directory, "zoo/taken-down", {"w.bin": b"w"}, disabled=True)
    fill(directory, "zoo/secret", {"w.bin": b"w"}, private=True)
    fill(directory, "zoo/table", {"data.csv": b"a,b\n1,2\n"}, kind="dataset")
    with HubProcess(directory, tokens=["reader=hf_room_reader:read", "writer=hf_room_writer:write"]) as running:
        yield running


@pytest.fixture(autouse=True)
def _clean(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "shown" in request.fixturenames:
        running: HubProcess = request.getfixturevalue("shown")
        running.clear_faults()
        running.clear_requests()


@pytest.fixture
def api(hub: HubProcess) -> HfApi:  # noqa: F811
    return HfApi(endpoint=hub.endpoint, token="hf_any")


@pytest.fixture(scope="session")
def http(shown: HubProcess) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=shown.endpoint, trust_env=False) as client:
        yield client
