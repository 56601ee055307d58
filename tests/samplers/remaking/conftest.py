"""A workspace with rows of every kind, sampled once."""

from dataclasses import replace

import pytest

from localhub.process import HubProcess
from localhub.store import Store
from samplers.options import RemakeOptions, SampleOptions
from samplers.running.supervisor import sample
from tests.samplers.conftest import BASE, CLASSES, FLAGGED, INVERSION, LORA, NAN, PIXELS
from tests.samplers.inputs import PROMPTS, adapter_of, entry_of, write_catalog, write_prompts
from workspace.layout import Workspace


@pytest.fixture(scope="session")
def sampled(store: Store, hub: HubProcess, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Text-to-image, unconditional and class-conditional generators, a LoRA, a textual inversion, rejected rows, and a
    second round of one generator, in other batches and with other steps."""
    workspace = Workspace.open(tmp_path_factory.mktemp("remade") / "workspace")
    names = (BASE, PIXELS, CLASSES, FLAGGED, NAN)
    entries = [entry_of(store, name, rank) for rank, name in enumerate(names, start=1)]
    entries.append(adapter_of(store, LORA, BASE, "lora", "pytorch_lora_weights.safetensors", 6))
    entries.append(adapter_of(store, INVERSION, BASE, "textual-inversion", "learned_embeds.safetensors", 7))
    write_catalog(workspace, entries)
    write_prompts(workspace, PROMPTS)
    weights = tmp_path_factory.mktemp("weights")
    options = SampleOptions(
        images=5, batch_size=3, max_tries=8, endpoint=hub.endpoint, weights_dir=weights, device="cpu", timeout=100
    )
    sample(workspace, options)
    sample(workspace, replace(options, images=4, batch_size=4, steps=3, update=True, only=(CLASSES,)))
    return workspace


@pytest.fixture
def options(hub: HubProcess, tmp_path_factory: pytest.TempPathFactory) -> RemakeOptions:
    return RemakeOptions(
        endpoint=hub.endpoint, weights_dir=tmp_path_factory.mktemp("weights"), device="cpu", timeout=100
    )
