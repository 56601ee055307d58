"""The scripts for SLURM, run with programs in its place that record how they are called.

No SLURM runs here. What is checked is what the scripts ask of it, and that our commands accept what they are given.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import typer

import captioning.cli
import manifests.cli
import samplers.cli
from captioning.options import CaptionOptions
from engines.devices import check_devices
from samplers.options import SampleOptions
from workspace.shard import Shard

SCRIPTS = Path(__file__).parents[2] / "deploy" / "slurm"
NAMES = sorted(path.name for path in SCRIPTS.glob("*.sh"))
COMMANDS = {
    "cf-sample": samplers.cli.sample,
    "cf-caption": captioning.cli._caption,
    "cf-build-manifest": manifests.cli._build_manifest,
}

#: Each call is a line of the log: its name, then its arguments, separated by tabs.
RECORD = '#!/bin/bash\n(IFS=$\'\\t\'; printf "%s\\n" "${0##*/}\t$*") >> calls\n'
SBATCH = RECORD + 'number=$(grep -c ^sbatch calls); echo "$((100 + number));cluster"\n'
#: It starts the command on two nodes, and ends with the highest exit code, as srun does.
SRUN = (
    RECORD
    + """while [[ $1 == --* ]]; do shift; done
code=0
for node in 0 1; do
    SLURM_STEP_ID=0 SLURM_PROCID=$node SLURM_NTASKS=2 "$@" || { ended=$?; ((ended > code)) && code=$ended; }
done
exit $code
"""
)


class Cluster:
    """A folder with the programs, in which scripts are run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.place({"sbatch": SBATCH, "srun": SRUN, "scontrol": RECORD, **dict.fromkeys(COMMANDS, RECORD)})

    def place(self, programs: Mapping[str, str]) -> None:
        for name, script in programs.items():
            (self.folder / name).write_text(script)
            (self.folder / name).chmod(0o755)

    def environment(self, **variables: str) -> dict[str, str]:
        return {"PATH": f"{self.folder}:/usr/bin:/bin", "USER": "somebody", "TMPDIR": "/local", **variables}

    def run(self, script: str, *arguments: str, **variables: str) -> int:
        command = ["bash", str(SCRIPTS / script), *arguments]
        return subprocess.run(command, cwd=self.folder, env=self.environment(**variables), check=False).returncode

    def calls(self, name: str) -> list[list[str]]:
        """The arguments of each call of a program."""
        path = self.folder / "calls"
        lines = [line.split("\t") for line in path.read_text().splitlines()] if path.exists() else []
        return [line[1:] for line in lines if line[0] == name]


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path)


def accepted(name: str, arguments: list[str]) -> dict[str, Any]:
    """What a command of ours reads in its arguments. Raises where it does not accept them."""
    app = typer.Typer(add_completion=False)
    app.command()(COMMANDS[name])
    with typer.main.get_command(app).make_context(name, list(arguments)) as context:
        return dict(context.params)


def job(task: int, tasks: int) -> dict[str, str]:
    values = {"ID": task, "MIN": 1, "MAX": tasks, "STEP": 1, "COUNT": tasks}
    return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in values.items()} | {"SLURM_JOB_ID": "17"}


@pytest.mark.parametrize("name", NAMES)
def test_every_script_is_valid_and_shellcheck_finds_nothing(name: str) -> None:
    subprocess.run(["bash", "-n", SCRIPTS / name], check=True)
    shellcheck = shutil.which("shellcheck") or shutil.which("shellcheck", path=str(Path(sys.executable).parent))
    if shellcheck is None:
        pytest.skip("shellcheck is not installed")
    subprocess.run([shellcheck, SCRIPTS / name], check=True)


def test_the_chain_submits_each_stage_after_the_one_before(cluster: Cluster) -> None:
    variables = {"CF_SAMPLE_TASKS": "128", "CF_SAMPLE_OPTIONS": "--images 400 --store parquet", "CF_FAIL_ABOVE": "2%"}
    assert cluster.run("chain.sh", "/shared/run-1", "--source", "coco=/data/my coco", **variables) == 0
    caption, sample, manifest = cluster.calls("sbatch")
    assert caption[:2] == ["--parsable", "--array=1-4"]
    assert sample[:4] == ["--parsable", "--array=1-128", "--dependency=afterok:101", "--kill-on-invalid-dep=yes"]
    assert manifest[:3] == ["--parsable", "--dependency=afterok:102", "--kill-on-invalid-dep=yes"]
    for call, stage, variables in ((caption, "cf-caption", job(2, 4)), (sample, "cf-sample", job(7, 128))):
        script = next(index for index, text in enumerate(call) if text.endswith(".sh"))
        assert cluster.run(Path(call[script]).name, *call[script + 1 :], **variables) == 0
        (arguments,) = cluster.calls(stage)
        assert accepted(stage, arguments)["workspace"] == Path("/shared/run-1")
    assert accepted("cf-caption", cluster.calls("cf-caption")[0])["source"] == ["coco=/data/my coco"]
    given = accepted("cf-sample", cluster.calls("cf-sample")[0])
    assert (given["images"], given["store"], given["fail_above"]) == (400, "parquet", "2%")
    assert cluster.run("manifest.sh", *manifest[4:], SLURM_JOB_ID="19") == 0
    assert accepted("cf-build-manifest", cluster.calls("cf-build-manifest")[0])["workspace"] == Path("/shared/run-1")


@pytest.mark.parametrize(("script", "command"), [("sample.sh", "cf-sample"), ("caption.sh", "cf-caption")])
def test_the_task_of_an_array_takes_its_shard(
    cluster: Cluster, script: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cluster.run(script, "/shared/run-1", **job(3, 16)) == 0
    given = accepted(command, cluster.calls(command)[0])
    for name, value in job(3, 16).items():
        monkeypatch.setenv(name, value)
    options = SampleOptions(shard=given["shard"]) if command == "cf-sample" else CaptionOptions(shard=given["shard"])
    assert Shard.parse(options.shard) == Shard(3, 16)


def test_on_whole_nodes_each_node_takes_a_shard_and_all_its_gpus(cluster: Cluster) -> None:
    assert cluster.run("sample_nodes.sh", "/shared/run-1", "--images", "400", SLURM_JOB_ID="17") == 0
    (srun,) = cluster.calls("srun")
    assert "--ntasks-per-node=1" in srun
    assert len(cluster.calls("cf-sample")) == 2
    given = accepted("cf-sample", cluster.calls("cf-sample")[0])
    assert (given["shard"], given["devices"], given["images"]) == ("auto", "all", 400)
    assert given["weights_dir"] == Path("/local/cf-weights-somebody")
    check_devices(given["devices"])
    assert cluster.calls("scontrol") == []


@pytest.mark.parametrize(
    ("code", "requeued"), [(75, [["requeue", "17"]]), (143, [["requeue", "17"]]), (3, []), (1, [])]
)
def test_a_job_on_nodes_goes_back_into_the_queue_where_work_is_left(
    cluster: Cluster, code: int, requeued: list[list[str]]
) -> None:
    # One node was interrupted, the other one had finished.
    cluster.place({"cf-sample": RECORD + f"exit $((SLURM_PROCID == 1 ? {code} : 0))\n"})
    assert cluster.run("sample_nodes.sh", "/shared/run-1", SLURM_JOB_ID="17") == code
    assert cluster.calls("scontrol") == requeued


SAMPLING = """
touch started
while :; do sleep 0.05; done
"""


@pytest.mark.parametrize("script", ["sample.sh", "caption.sh"])
@pytest.mark.parametrize(("trap", "code"), [("trap 'sleep 0.2; exit 75' TERM", 75), ("", 143)])
def test_a_task_that_is_ended_at_its_time_limit_goes_back_into_the_queue(
    cluster: Cluster, script: str, trap: str, code: int
) -> None:
    # One that has not come to its handler for the signal yet is ended by it.
    sampling = f"#!/bin/bash\n{trap}{SAMPLING}"
    cluster.place({"cf-sample": sampling, "cf-caption": sampling})
    environment = cluster.environment(**job(2, 3))
    with subprocess.Popen(["bash", SCRIPTS / script, "workspace"], cwd=cluster.folder, env=environment) as task:
        while not (cluster.folder / "started").exists():
            time.sleep(0.01)
        # As `--signal=B:TERM@120` does: to the script alone.
        task.terminate()
        try:
            assert task.wait(20) == code
        finally:
            task.kill()
    assert cluster.calls("scontrol") == [["requeue", "17"]]


def test_the_apptainer_image_has_the_programs_where_the_dockerfile_puts_them() -> None:
    root = SCRIPTS.parents[1]
    definition = (root / "deploy" / "apptainer" / "community-forensics.def").read_text()
    dockerfile = (root / "Dockerfile").read_text()
    (line,) = [line for line in definition.splitlines() if "export PATH=" in line]
    path = line.partition("PATH=")[2].partition(":")[0]
    assert f"PATH={path}:" in dockerfile
    assert "docker build -t community-forensics ." in definition
