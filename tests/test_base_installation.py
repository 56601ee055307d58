"""Who reads, builds, publishes or completes a dataset needs no extra; a stage that needs one says which."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from localhub.process import HubProcess
from manifests.building import build
from tests.base_installation import BaseInstallation, packages_of_base
from tests.manifests.making import Builder, fill
from workspace.layout import Workspace

#: Types command lines one after the other, each a name, code and arguments; prints their exit codes and errors as JSON.
TYPE = """
import contextlib, io, json, sys
ended = []
for name, code, arguments in json.loads(sys.argv[1]):
    sys.argv = [name, *arguments]
    with contextlib.redirect_stderr(io.StringIO()) as errors, contextlib.redirect_stdout(io.StringIO()):
        try:
            exec(code)
            status = 0
        except SystemExit as error:
            status = error.code
    ended.append([name, status or 0, errors.getvalue()])
print(json.dumps(ended))
"""
BUILD = "from manifests.cli import build_manifest; build_manifest()"
PUBLISH = "from manifests.cli import publish; publish()"
DOWNLOAD = (
    "from huggingface_hub import snapshot_download;"
    "snapshot_download(sys.argv[1], repo_type='dataset', local_dir=sys.argv[2])"
)
MOVE = "import shutil; shutil.move(*sys.argv[1:])"
READ = """
import sys
import community_forensics as cf
rows = cf.read_manifest(sys.argv[1])
print(len(rows), sorted({cf.open_image(sys.argv[1], path).size for path in rows["path"]}))
print(sorted({"torch", "diffusers", "transformers", "datasets", "starlette"} & set(sys.modules)))
"""
COUNT = """
import sys, pandas
from pathlib import Path
print(sum(len(pandas.read_parquet(shard)) for shard in Path(sys.argv[1]).glob("data/*.parquet")))
"""
NEEDS = {
    "cf-crawl": ("from crawler.cli import main; main()", ["--limit", "1"], "crawl", "diffusers"),
    "cf-caption": ("from captioning.cli import main; main()", ["--source", "mine={images}"], "caption", "torch"),
    "cf-sample": ("from samplers.cli import main; main()", [], "sample", "torch"),
    "cf-import": (
        "from samplers.importing.cli import main; main()",
        ["org/name", "{images}", "--architecture", "GAN"],
        "import",
        "ImageHash",
    ),
    "cf-status --serve": (
        "from samplers.status.cli import main; main()",
        ["--workspace", "{images}", "--serve", "0"],
        "status",
        "prometheus-client",
    ),
    "cf-hub serve": ("from localhub.cli import main; main()", ["serve", "{images}"], "hub", "starlette"),
    "the demo": (
        "from demo.__main__ import demo; from workspace.command_line import run_command; run_command(demo)",
        [],
        "demo",
        "torch",
    ),
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> BaseInstallation:
    return BaseInstallation(tmp_path_factory.mktemp("base") / "packages")


@pytest.fixture
def filled(tmp_path: Path) -> Builder:
    return fill(Builder(Workspace.open(tmp_path / "workspace")))


def typed(base: BaseInstallation, commands: Any, environment: dict[str, str]) -> list[tuple[str, int, str]]:
    """How each of the commands ended, in an installation without extras: its name, exit code and errors."""
    ended = base.run(TYPE, json.dumps(commands), environment=environment)
    assert ended.returncode == 0, ended.stderr
    return [tuple(one) for one in json.loads(ended.stdout)]


def test_the_base_installs_neither_torch_nor_diffusers_nor_transformers() -> None:
    packages = packages_of_base()
    assert not packages & {"torch", "diffusers", "transformers", "accelerate", "peft", "datasets", "starlette"}
    assert {"duckdb", "huggingface-hub", "pandas", "pyarrow"} <= packages


def test_a_dataset_is_built_published_completed_and_read_with_the_base_alone(
    base: BaseInstallation, filled: Builder, tmp_path: Path
) -> None:
    workspace, folder, copies = str(filled.write().root), str(tmp_path / "download"), str(tmp_path / "copies")
    public = ["--edition", "public", "--license-allow", "family=openrail,none"]
    commands = [
        ("build", BUILD, ["--workspace", workspace, *public]),
        ("publish", PUBLISH, ["org/data", "--workspace", workspace]),
        ("download", DOWNLOAD, ["org/data", folder]),
        # The real images, where somebody else has them.
        ("move", MOVE, [str(tmp_path / "real"), copies]),
        ("complete", BUILD, ["--workspace", folder, "--restore", copies]),
    ]
    with HubProcess(tmp_path / "hub") as hub:
        environment = hub.environment("hf_any") | {"HF_HOME": str(tmp_path / "home")}
        for name, status, errors in typed(base, commands, environment):
            assert status == 0, f"{name}: {errors}"
    rows = base.run(COUNT, folder)
    assert rows.stdout.strip() == "31", rows.stderr


def test_a_manifest_and_its_images_are_read_with_the_base_alone(base: BaseInstallation, filled: Builder) -> None:
    workspace = filled.write()
    build(workspace)  # the test before this one builds with the base
    read = base.run(READ, str(workspace.root))
    assert read.returncode == 0, read.stderr
    assert read.stdout.splitlines() == ["31 [(16, 16), (24, 24)]", "[]"]


def test_a_command_without_its_extra_names_it_in_one_line(base: BaseInstallation, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(b"an image")
    commands = [
        (name, code, [option.format(images=tmp_path / "images") for option in options])
        for name, (code, options, _, _) in NEEDS.items()
    ]
    environment = {"CF_WORKSPACE": str(tmp_path / "workspace"), "HF_ENDPOINT": "http://127.0.0.1:9"}
    ends = typed(base, commands, environment)
    assert [name for name, _, _ in ends] == [*NEEDS]
    for name, status, errors in ends:
        _, _, extra, package = NEEDS[name]
        assert status == 2, errors
        (line,) = errors.splitlines()
        assert line.startswith(f"error: {name} needs ")
        assert package in line
        assert line.endswith(f"run: pip install 'community-forensics[{extra}]'")


def test_with_its_extra_a_command_does_not_complain() -> None:
    code = "from workspace.extras import require_extra; [require_extra(one, 'it') for one in sys.argv[1:]]"
    extras = ["crawl", "caption", "import", "sample", "hub", "status", "demo", "all"]
    ended = subprocess.run([sys.executable, "-c", f"import sys; {code}", *extras], env=dict(os.environ), check=False)
    assert ended.returncode == 0
