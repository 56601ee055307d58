import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from crawler.catalog import CatalogEntry, read_catalog
from crawler.crawl import crawl
from crawler.options import CrawlOptions
from localhub.process import HubProcess
from localhub.store import Store
from samplers.assignment.pending import find_pending
from samplers.forecasting.calibrating import calibrate
from samplers.options import SampleOptions
from samplers.running.supervisor import sample
from tests.samplers.child.families import made
from tests.samplers.child.original_layouts import write
from tests.samplers.conftest import BASE
from tests.samplers.inputs import PROMPTS, write_prompts
from tests.zoo import write_files
from workspace.layout import Workspace, parts_in
from workspace.roots import place_name, read_places

FOLDER, FILE, CHANGED = "me/my-folder", "me/my-checkpoint", "me/changed"


@pytest.fixture
def local(tmp_path: Path, store: Store) -> Path:
    """A file that names a model of the Hub, a folder and a single file whose configuration is that model's."""
    folder = tmp_path / "generators"
    folder.mkdir()
    write_files(BASE, folder / "pipeline")
    write(made("sd1"), "sd1", folder / "mix.safetensors")
    content = (folder / "mix.safetensors").read_bytes()
    # Other bytes than those of the first one, which is on the node already.
    (folder / "changed.safetensors").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    commit = store.commit_of(store.repo("model", BASE)).id
    (folder / "generators.toml").write_text(f"""
        models = ["{BASE}"]

        ["{FOLDER}"]
        path = "pipeline"
        license = "mit"
        steps = 2

        ["{FILE}"]
        path = "mix.safetensors"
        config = "{BASE}@{commit}"
        license = "creativeml-openrail-m"
        link = "https://civitai.com/models/1"
        steps = 2
        scheduler = "Euler a"
        trigger_words = "my style"

        ["{CHANGED}"]
        path = "changed.safetensors"
        config = "{BASE}@{commit}"
        """)
    return folder / "generators.toml"


@pytest.fixture
def workspace(tmp_path: Path, local: Path, hub: HubProcess) -> Workspace:
    workspace = Workspace.open(tmp_path / "workspace")
    crawl(workspace, CrawlOptions(from_file=local, endpoint=hub.endpoint))
    write_prompts(workspace, PROMPTS)
    return workspace


def _rows(workspace: Workspace) -> dict[str, CatalogEntry]:
    return {entry.model_name: entry for entry in read_catalog(workspace)}


def test_a_folder_and_a_single_file_are_sampled_beside_a_model_of_the_hub(
    workspace: Workspace, local: Path, options: SampleOptions
) -> None:
    changed = local.parent / "changed.safetensors"
    changed.write_bytes(changed.read_bytes()[:-1] + b"?")
    ended = {outcome.model_name: outcome for outcome in sample(workspace, options).outcomes}
    assert {ended[name].status for name in (BASE, FOLDER, FILE)} == {"done"}
    assert ended[CHANGED].status == "fetch-failed"
    message = "checkpoint.safetensors was changed after the crawl: crawl it again with `cf-crawl --from FILE`"
    assert message in (ended[CHANGED].detail or "")

    rows = {name: pq.read_table(parts_in(workspace.samples_of(name))[0]).to_pylist() for name in (FOLDER, FILE)}
    assert {row["revision"] for row in rows[FILE]} == {_rows(workspace)[FILE].revision}
    assert {row["scheduler"] for row in rows[FILE]} == {"EulerAncestralDiscreteScheduler"}
    assert all(row["prompt"].startswith("my style, ") for row in rows[FILE])
    assert all(row["num_inference_steps"] == 2 for row in rows[FOLDER])
    # What is published, or becomes part of it, names no path of this machine.
    for path in (*workspace.root.rglob("*.parquet"), *workspace.outcomes.glob("*.json")):
        assert str(local.parent).encode() not in path.read_bytes(), path


def test_a_device_is_measured_with_local_generators_too(workspace: Workspace, options: SampleOptions) -> None:
    only = replace(options, only=(FILE,))
    measured = calibrate(workspace, only, find_pending(workspace, only))
    assert {one.generator for one in measured.generators} == {FILE}
    assert not measured.failed


def test_files_that_moved_are_found_again_by_another_crawl(workspace: Workspace, local: Path, hub: HubProcess) -> None:
    before = _rows(workspace)
    moved = Path(shutil.move(local.parent, local.parent.with_name("elsewhere")))
    crawled = crawl(workspace, CrawlOptions(from_file=moved / local.name, endpoint=hub.endpoint))
    assert not crawled.changed
    assert {name: row.revision for name, row in _rows(workspace).items()} == {
        name: row.revision for name, row in before.items()
    }
    assert read_places(workspace)[place_name(FILE, before[FILE].revision)] == moved / "mix.safetensors"
