"""`cf-fetch` and `cf-sample --offline` with generators of the zoo."""

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from localhub.process import HubProcess
from localhub.store import Store
from samplers.fetch.fetch import fetch
from samplers.fetch.options import FetchOptions
from samplers.options import SampleOptions
from samplers.outcomes import read_outcome
from samplers.running.supervisor import sample
from samplers.weights.offline import NoFilesError
from tests.namespaces import require_namespaces, without_network
from tests.samplers.conftest import BASE, LORA, PIXELS
from tests.samplers.inputs import adapter_of, entry_of, files_of
from tests.samplers.processes import start_command
from tests.scale import weekly
from workspace.errors import UsageError
from workspace.layout import Workspace

MakeWorkspace = Callable[..., Workspace]
#: Waits for its end; returns its exit code and what it printed.
Node = Callable[[], tuple[int | None, str]]
#: Nobody listens there.
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def fetching(hub: HubProcess, tmp_path: Path) -> FetchOptions:
    return FetchOptions(weights_dir=tmp_path / "weights", endpoint=hub.endpoint)


@pytest.fixture
def offline(options: SampleOptions) -> SampleOptions:
    return dataclasses.replace(options, endpoint=NOWHERE, offline=True, wait=0.0)


def _forked(arguments: list[str], folder: Path) -> Node:
    """`cf-sample` on a node without network, forked from what has imported it."""
    require_namespaces("--net")
    output = folder / "output"
    process = start_command(arguments, {**os.environ, "HF_ENDPOINT": NOWHERE}, output=output, has_network=False)

    def ended() -> tuple[int | None, str]:
        process.join(250)
        return process.exitcode, output.read_text()

    return ended


def _anew(arguments: list[str], _: Path) -> Node:
    """The installed command there, which imports everything itself."""
    process = without_network("cf-sample", *arguments)

    def ended() -> tuple[int | None, str]:
        said = process.communicate(timeout=250)[1]
        return process.returncode, said

    return ended


def test_a_node_without_network_samples_what_is_fetched_while_it_waits(
    store: Store, make_workspace: MakeWorkspace, fetching: FetchOptions, options: SampleOptions, tmp_path: Path
) -> None:
    _sampled_without_network(_forked, store, make_workspace, fetching, options, tmp_path)


@weekly("samplers/fetch/test_fetch.py::test_a_node_without_network_samples_what_is_fetched_while_it_waits")
def test_the_installed_command_imports_and_samples_there_too(
    store: Store, make_workspace: MakeWorkspace, fetching: FetchOptions, options: SampleOptions, tmp_path: Path
) -> None:
    _sampled_without_network(_anew, store, make_workspace, fetching, options, tmp_path)


def _sampled_without_network(
    start: Callable[[list[str], Path], Node],
    store: Store,
    make_workspace: MakeWorkspace,
    fetching: FetchOptions,
    options: SampleOptions,
    folder: Path,
) -> None:
    adapter = adapter_of(store, LORA, BASE, "lora", "pytorch_lora_weights.safetensors", rank=3)
    workspace = make_workspace(entry_of(store, BASE, 1), entry_of(store, PIXELS, 2), adapter)
    arguments = ["--offline", "--workspace", workspace.root, "--weights-dir", fetching.weights_dir]
    node = start([*map(str, arguments), "--images", "2", "--device", "cpu", "--wait", "120"], folder)
    report = fetch(workspace, dataclasses.replace(fetching, images=2))
    assert len(report.fetched) == 3
    code, said = node()
    assert code == 0, said
    assert "Traceback" not in said
    for name in (BASE, PIXELS, LORA):
        outcome = read_outcome(workspace, name)
        assert outcome is not None
        assert (outcome.status, outcome.kept) == ("done", 2)
    assert list(Path(fetching.weights_dir or "", "pool").iterdir())
    # The same images as with the Hub.
    online = make_workspace(entry_of(store, BASE, 1), entry_of(store, PIXELS, 2), adapter)
    sample(online, dataclasses.replace(options, weights_dir=online.root.parent / "other"))
    images = [
        {path: data for path, data in files_of(one).items() if str(path).endswith(".png")}
        for one in (workspace, online)
    ]
    assert images[0] == images[1]
    assert len(images[0]) == 6
    # What is done is freed by the next cf-fetch.
    fetch(workspace, fetching)
    left = {path.stat().st_size for path in Path(fetching.weights_dir or "", "pool").iterdir()}
    assert len(left) == 3  # the safety checker's


def test_offline_never_asks_the_hub_and_ends_when_nobody_fetches(
    store: Store, hub: HubProcess, make_workspace: MakeWorkspace, offline: SampleOptions
) -> None:
    workspace = make_workspace(entry_of(store, PIXELS))
    hub.clear_requests()
    with pytest.raises(
        NoFilesError, match=r"start it on a machine with internet: cf-fetch --workspace .* --weights-dir"
    ):
        sample(workspace, dataclasses.replace(offline, endpoint=hub.endpoint))
    assert hub.requests() == []


def test_offline_needs_the_folder_and_the_commit_of_the_checker() -> None:
    with pytest.raises(UsageError, match="--weights-dir"):
        SampleOptions(offline=True)
    with pytest.raises(UsageError, match="ORG/NAME@COMMIT"):
        SampleOptions(offline=True, weights_dir=Path("weights"), safety_checker="org/checker")
