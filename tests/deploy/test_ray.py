"""The files of deploy/ray: they can be read, and what they type exists."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.pages import ROOT, shell_lines
from tests.docs.test_commands import options_of

RAY = ROOT / "deploy" / "ray"
MANIFESTS = sorted(RAY.glob("ray*.yaml"))


def cluster_of(manifest: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = manifest["spec"]
    return spec if manifest["kind"] == "RayCluster" else spec["rayClusterSpec"]


def pods_of(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    cluster = cluster_of(manifest)
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return [group["template"]["spec"] for group in groups]


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_a_manifest_of_kuberay_has_what_the_stages_need_on_every_node(path: Path) -> None:
    manifest = yaml.safe_load(path.read_text())
    assert manifest["apiVersion"] == "ray.io/v1"
    pinned = re.search(r"^ray==(.*)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert pinned is not None
    assert cluster_of(manifest)["rayVersion"] == pinned[1]
    for pod in pods_of(manifest):
        (container,) = pod["containers"]
        environment = {one["name"]: one for one in container["env"]}
        assert environment["CF_WORKSPACE"]["value"] == "/workspace"
        assert "value" not in environment["HF_TOKEN"]
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}
        assert pod["securityContext"]["runAsUser"] == 10001


def test_the_image_has_ray_and_its_user() -> None:
    last = (ROOT / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    assert re.search(r"make install EXTRAS=\S*\bray\b", last)
    assert "\nUSER 10001\n" in last


def test_the_cluster_of_ssh_is_one_that_ray_up_takes() -> None:
    ray_config = pytest.importorskip("ray.autoscaler._private.util")
    config = yaml.safe_load((RAY / "cluster.yaml").read_text())
    ray_config.validate_config(ray_config.prepare_config(config))


def test_every_command_that_is_typed_exists_with_its_options() -> None:
    lines = shell_lines(RAY / "README.md")
    for path in MANIFESTS:
        text = path.read_text()
        lines += re.findall(r"(?:entrypoint: |-- )(cf-.*)", text)
    commands = [shlex.split(line) for line in lines if line.startswith("cf-")]
    assert len(commands) >= 7
    for command, *words in commands:
        options = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert options <= options_of(command), command
