"""A mirror under the stages, with generators of the zoo."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from crawler.catalog import read_catalog
from crawler.crawl import crawl
from crawler.options import CrawlOptions
from localhub.mirror.filling import fill
from localhub.mirror.upstream import Upstream
from localhub.process import HubProcess
from samplers.outcomes import read_outcome
from tests.localhub.mirror.conftest import away
from tests.namespaces import without_network
from tests.samplers.inputs import PROMPTS, write_prompts
from tests.scale import weekly
from tests.zoo import copy_zoo
from workspace.checker import DEFAULT_CHECKER
from workspace.layout import Workspace

PIXELS, BASE, LORA = (
    "hobbyists/ddim-butterflies-32",
    "tiny-labs/stable-diffusion-v1-5",
    "stitchwork/zoo-embroidery-lora",
)
CHECKER = "CompVis/stable-diffusion-safety-checker"
#: A Hub and its mirror in a namespace, and a user of the mirror.
NODE = """
import os, subprocess, sys
from localhub.process import HubProcess
directory, upstream, *command = sys.argv[1:]
with HubProcess(directory, arguments=["--mirror", "--upstream", upstream], control=False) as hub:
    sys.exit(subprocess.run(command, env={**os.environ, **hub.environment()}).returncode)
"""


@pytest.fixture(scope="module")
def zoo_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    directory = tmp_path_factory.mktemp("zoo-hub")
    copy_zoo(directory, (PIXELS, BASE, LORA, CHECKER))
    with HubProcess(directory) as running:
        yield running


def test_a_crawl_of_a_mirror_is_a_crawl_of_the_hub_also_when_that_is_away(zoo_hub: HubProcess, tmp_path: Path) -> None:
    options = ["--mirror", "--upstream", zoo_hub.endpoint]
    with HubProcess(tmp_path / "mirror", arguments=options) as mirror:

        def crawled(hub: HubProcess, name: str) -> list[object]:
            workspace = Workspace.open(tmp_path / name)
            crawl(workspace, CrawlOptions(endpoint=hub.endpoint))
            same = {"crawled_at": "", "endpoint": None}
            return [dataclasses.replace(entry, **same) for entry in read_catalog(workspace)]  # type: ignore[arg-type]

        of_hub = crawled(zoo_hub, "hub")
        assert len(of_hub) == 3
        assert crawled(mirror, "mirrored") == of_hub
        away(zoo_hub)
        try:
            assert crawled(mirror, "away") == of_hub
        finally:
            zoo_hub.clear_faults()


@weekly("examples/test_examples.py::test_a_shard_of_a_job_array_samples_from_a_mirror_without_the_hub")
def test_a_node_without_network_samples_from_a_mirror_that_was_filled_ahead(
    zoo_hub: HubProcess, tmp_path: Path
) -> None:
    workspace = Workspace.open(tmp_path / "workspace")
    crawl(workspace, CrawlOptions(endpoint=zoo_hub.endpoint))
    write_prompts(workspace, PROMPTS)
    assert fill(workspace.root, tmp_path / "mirror", Upstream(zoo_hub.endpoint), DEFAULT_CHECKER, None).failed == {}
    node = without_network(
        "python", "-c", NODE, tmp_path / "mirror", zoo_hub.endpoint,
        "cf-sample", "--workspace", workspace.root, "--weights-dir", tmp_path / "weights", "--images", 2,
        "--steps", 2, "--device", "cpu",
    )  # fmt: skip
    _, err = node.communicate(timeout=250)
    assert node.returncode == 0, err
    for entry in read_catalog(workspace):
        if entry.status == "compatible":
            outcome = read_outcome(workspace, entry.generator)
            assert outcome is not None
            assert (outcome.status, outcome.kept) == ("done", 2)
