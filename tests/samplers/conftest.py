"""A Hub with a few generators, started once, and empty workspaces to sample into."""

import multiprocessing
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crawler.catalog import CatalogEntry
from localhub.process import HubProcess
from localhub.store import Store
from samplers.options import SampleOptions
from tests.s3 import s3, s3_server  # noqa: F401 - fixtures
from tests.samplers.inputs import PROMPTS, build, write_catalog, write_prompts
from tests.zoo import copy_zoo
from workspace.layout import Workspace

BASE = "tiny-labs/stable-diffusion-v1-5"
FINETUNE = "tiny-labs/inkpunk-style"
PIXELS = "hobbyists/ddim-butterflies-32"
CLASSES = "tiny-labs/DiT-tiny-256"
NAN = "first-steps/sd-overtrained"
#: Of some of its images the checker thinks that they must not be seen.
FLAGGED = "neon-nights/sd-magenta-nights"
#: A LoRA and a textual inversion for BASE.
LORA = "stitchwork/zoo-embroidery-lora"
INVERSION = "concepts/zoo-cat"
ENDLESS = "tests/endless"
#: All tests of a session share one fork server, so it must have the imports from the start.
multiprocessing.get_context("forkserver").set_forkserver_preload(["samplers.child.preload"])

CHECKER = "CompVis/stable-diffusion-safety-checker"


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The Hub's contents: generators of the zoo, and one that never ends."""
    store = Store(tmp_path_factory.mktemp("hub"))
    copy_zoo(store.root, (BASE, FINETUNE, PIXELS, CLASSES, NAN, FLAGGED, LORA, INVERSION, CHECKER))
    with tempfile.TemporaryDirectory() as folder:
        _endless().save_pretrained(folder)
        build(store, ENDLESS, Path(folder))
    return store


def _endless() -> object:
    """A pipeline that accepts a million steps."""
    from diffusers import DDIMPipeline, DDIMScheduler

    from demo.zoo.unconditional import ddim

    return DDIMPipeline(unet=ddim().unet, scheduler=DDIMScheduler(num_train_timesteps=1_000_000))


@pytest.fixture(scope="session")
def hub(store: Store) -> Iterator[HubProcess]:
    """The Hub, running."""
    with HubProcess(store.root) as running:
        yield running


@pytest.fixture
def options(hub: HubProcess, tmp_path: Path) -> SampleOptions:
    """The options of the tests: two images, from the Hub, on the CPU, with weights below the test's own folder."""
    return SampleOptions(images=2, endpoint=hub.endpoint, weights_dir=tmp_path / "weights", device="cpu", timeout=100)


@pytest.fixture
def make_workspace(tmp_path: Path) -> Callable[..., Workspace]:
    """Makes a workspace with prompts and a catalogue of the given rows."""
    made = iter(range(1000))

    def make(*entries: CatalogEntry) -> Workspace:
        workspace = Workspace.open(tmp_path / f"workspace-{next(made)}")
        write_catalog(workspace, entries)
        write_prompts(workspace, PROMPTS)
        return workspace

    return make
