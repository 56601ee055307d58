"""A Ray cluster of several nodes on this machine, started once for all tests of engines and ended with them.

Ray reads some settings when it is imported, and pytest imports this file before any test runs: so the environment is
set here at import.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from engines.ray import RayEngine
from tests.scale import scaled

#: Nodes beside the head.
FURTHER = scaled(1, 2)
#: No process that sends the driver what tasks print.
_NODE = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_log_monitor": False}
os.environ |= {
    # Ray's switch for what it calls a cluster of one machine: loopback addresses only.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_memory_monitor_refresh_ms": "0",
}


@contextmanager
def _quiet_nodes(folder: Path) -> Iterator[None]:
    """A block in which nodes are started: they tell nobody that they exist."""
    with pytest.MonkeyPatch.context() as patch:
        # Otherwise Ray asks three clouds whether it runs there, and reports even that reports are switched off.
        (folder / "ray_bootstrap_config.yaml").write_text("{}")
        patch.setenv("HOME", str(folder))
        # Where Ray writes the address of the newest cluster of this machine: not in the user's `/tmp/ray`, which Ray
        # itself makes only when a cluster has its files there.
        (folder / "ray").mkdir(exist_ok=True)
        patch.setenv("RAY_TMPDIR", str(folder))
        from ray._common.usage import usage_lib

        put: Any = usage_lib.put_cluster_metadata
        patch.setattr(usage_lib, "put_cluster_metadata", lambda client, **_: put(client, ray_init_cluster=True))
        yield


class Nodes:
    """The cluster: its head and further nodes, which can be killed and are replaced then."""

    def __init__(self, folder: Path) -> None:
        """Start it; its files are below `folder`."""
        folder.mkdir()
        self.folder = folder
        with _quiet_nodes(folder):
            from ray.cluster_utils import Cluster

            head = {**_NODE, "include_dashboard": False, "no_monitor": True, "temp_dir": str(folder)}
            self._cluster: Any = Cluster(initialize_head=True, head_node_args=head)
            self.nodes = [self._cluster.add_node(**_NODE, wait=False) for _ in range(FURTHER)]
            self._cluster.wait_for_nodes()
        self.address: str = self._cluster.address

    def kill(self, number: int) -> None:
        """Kill a node that is not the head, as when its power is cut, and start another one in its place."""
        self._cluster.remove_node(self.nodes[number], allow_graceful=False)
        with _quiet_nodes(self.folder):
            self.nodes[number] = self._cluster.add_node(**_NODE, wait=False)

    def end(self) -> None:
        """End all of it."""
        self._cluster.shutdown()


@pytest.fixture(scope="package")
def cluster() -> Iterator[Nodes]:
    """The cluster; this process is not connected to it."""
    # A short path: those of sockets, which are below it, have at most a hundred characters.
    nodes = Nodes(Path(tempfile.mkdtemp(prefix="ray-", dir=os.environ["CF_TESTS_FOLDER"])) / "files")
    yield nodes
    import ray

    ray.shutdown()
    nodes.end()


@pytest.fixture(scope="package")
def on_ray(cluster: Nodes) -> RayEngine:
    """The engine of the cluster."""
    return RayEngine(cluster.address)
