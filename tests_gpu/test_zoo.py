"""Every family of the demo's zoo, through `cf-crawl` and `cf-sample`, on the device."""

import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.finetunes import write_prompts
from demo.zoo.building import put, quiet_libraries
from demo.zoo.catalogue import repositories
from localhub.process import HubProcess
from localhub.store import Store
from samplers.outcomes import read_outcome
from samplers.sample import read_samples
from tests_gpu.conftest import Record
from workspace.layout import Workspace

#: Text encoders, denoisers, schedulers and decoders of all families; adapters with their bases; images of classes and
#: without prompts.
GENERATORS = (
    "tiny-labs/stable-diffusion-v1-5",
    "tiny-labs/sdxl-anime-mix",
    "tiny-labs/stable-diffusion-3-pocket",
    "blackwood/FLUX.1-nano-dev",
    "tongs/Qwen-Image-Little",
    "tongs/Z-Image-Tiny",
    "tiny-labs/dreamy-lcm",
    "moscow-miniatures/kandinsky-2-2-decoder",
    "pixart-petite/PixArt-Sigma-256",
    "sun-lab/Sana_512px_diffusers",
    "tongs/HunyuanDiT-v1.2-Mini",
    "compact-vis/ldm-celeba-64",
    "hobbyists/ddpm-churches-32",
    "inkwell/dit-digits",
    "stitchwork/zoo-embroidery-lora",
    "concepts/zoo-cat",
)
#: What some of them need: a base model, a prior; and the safety checker.
_BESIDE = ("moscow-miniatures/kandinsky-2-2-prior", "CompVis/stable-diffusion-safety-checker")
IMAGES, BATCH = 6, 3


def test_every_family_is_sampled(tmp_path: Path, device: str, gpu: bool, record: Record) -> None:
    store = Store(tmp_path / "hub")
    with quiet_libraries():
        for repository in repositories():
            if repository.repo_id in (*GENERATORS, *_BESIDE):
                put(store, repository)
    workspace = Workspace.open(tmp_path / "workspace")
    write_prompts(workspace)
    with HubProcess(tmp_path / "hub") as hub:
        environment = {**os.environ, **hub.environment(), "HF_HOME": str(tmp_path / "home")}
        _run(["crawler.cli", "--workspace", str(workspace.root)], environment)
        sample = ["samplers.cli", "--workspace", str(workspace.root), "--device", device]
        sample += ["--images", str(IMAGES), "--batch-size", str(BATCH), "--weights-dir", str(tmp_path / "weights")]
        started = time.perf_counter()
        _run([*sample, "--steps", "4", "--fail-above", "100%"], environment)
    record(
        f"{len(GENERATORS)} tiny generators of all families through cf-sample", f"{time.perf_counter() - started:.0f} s"
    )
    outcomes = {name: read_outcome(workspace, name) for name in GENERATORS}
    ends = {name: outcome and (outcome.status, outcome.detail) for name, outcome in outcomes.items()}
    assert ends == dict.fromkeys(GENERATORS, ("done", None))
    dtypes = {row.dtype for name in GENERATORS for row in read_samples(workspace, name)}
    assert dtypes <= ({"float16", "bfloat16"} if gpu else {"float32"})


def _run(arguments: list[str], environment: dict[str, str]) -> None:
    module, *rest = arguments
    command = [sys.executable, "-c", f"from {module} import main; main()", *rest]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{arguments}: {done.stdout[-1000:]}{done.stderr[-3000:]}"
