"""The demo: all stages on a Hub on this disk, with the same command lines as a real run.

The zoo is put on an embedded Hub and the photographs into a folder; then the five command lines run one after another.
Only the numbers are smaller than in a real run, and environment variables make the clients use the embedded Hub. Every
step skips finished work, so the demo can be interrupted and started again.
"""

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from demo import detecting, photographs
from demo.stages import run_stage
from demo.summary import summarise
from demo.zoo import building
from localhub.process import HubProcess
from workspace.command_line import run_command
from workspace.errors import CommunityForensicsError
from workspace.exclusive import alone
from workspace.extras import require_extra
from workspace.identity import sha256_of_file
from workspace.layout import Workspace

DATASET = "forensics-demo/community-forensics-tiny"


def demo(
    directory: Annotated[Path, typer.Option(help="Folder for the Hub and the workspace.")] = Path("demo-run"),
    images: Annotated[int, typer.Option(min=1, help="Number of images of each generator.")] = 16,
    detect: Annotated[bool, typer.Option(help="Whether detectors are trained and judged at the end.")] = True,
) -> None:
    """Crawl, caption, sample, build the manifest and publish, all on an embedded Hub; then load the dataset, and train
    and judge detectors on it.

    After an interrupt (Ctrl-C), the same command continues.
    """
    require_extra("demo", "the demo")
    console = Console()
    # Another zoo or another version of a library gives other weights, so that run has a folder of its own.
    root = (directory / zoo_version()).resolve()
    workspace = Workspace.open(root / "workspace")

    with alone(Workspace(root), "demo"):
        _run_stages(root, workspace, images, detect, console)


def _run_stages(root: Path, workspace: Workspace, images: int, detect: bool, console: Console) -> None:
    console.print(f"[bold]The embedded Hub and its zoo[/bold] in {root / 'hub'}", highlight=False)
    building.fill(root / "hub")
    photographs.write_digits(root / "real" / "digits")
    photographs.write_pieces(root / "real" / "pieces")
    photographs.write_photos(root / "real" / "photos")

    with HubProcess(root / "hub") as hub:
        environment = stage_environment(root, workspace, hub)
        for command in (
            ["cf-crawl", "--limit", "200"],
            [
                "cf-caption",
                "--source",
                f"digits={root / 'real' / 'digits'}",
                "--source",
                f"pieces={root / 'real' / 'pieces'}",
                "--source",
                f"photos={root / 'real' / 'photos'}",
            ],
            ["cf-sample", "--images", str(images), "--batch-size", "4"],
            ["cf-build-manifest", "--audit", "--matched"],
            ["cf-publish", DATASET],
        ):
            run_stage(command, environment, console)
        published = read_back(workspace, environment, console)
        for words in detecting.COMMANDS if detect else ():
            run_stage(words, environment, console)

    console.print()
    console.print(summarise(workspace, published))
    report = (workspace.report / "index.html").as_uri()
    if detect:
        console.print("\n[bold]Detectors[/bold]")
        for line in detecting.statement(workspace):
            console.print(f"- {line}", highlight=False, markup=False, soft_wrap=True)
    console.print(f"\nReport, with a contact sheet of the images: {report}", highlight=False, soft_wrap=True)
    if detect:
        page = (workspace.report / "detect.html").as_uri()
        console.print(f"Report of the detectors: {page}", highlight=False, soft_wrap=True)


def zoo_version() -> str:
    """Eight hexadecimal digits that change with the source of the demo and the versions of the libraries."""
    from hashlib import sha256

    here = Path(__file__).parent
    sources = sorted(path for path in here.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    built_with = [f"{path.relative_to(here)} {sha256_of_file(path)}" for path in sources]
    built_with += [f"{name} {version(name)}" for name in ("diffusers", "torch", "transformers")]
    return sha256("\n".join(built_with).encode()).hexdigest()[:8]


def stage_environment(root: Path, workspace: Workspace, hub: HubProcess) -> dict[str, str]:
    """The environment of the stages: the embedded Hub, folders of the demo, and nothing of the user's Hub account."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING_FACE_"))}
    # Tiny models run ten times faster on one thread than on two.
    environment.setdefault("OMP_NUM_THREADS", "1")
    return (
        environment
        | hub.environment()
        | {
            "CF_WORKSPACE": str(workspace.root),
            "CF_WEIGHTS_DIR": str(root / "weights"),
            "HF_HOME": str(root / "hf-home"),
            # Downloads here are shorter than the first update of a progress bar.
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        }
    )


def read_back(workspace: Workspace, environment: dict[str, str], console: Console) -> dict[str, int]:
    """The number of rows of each split, as `datasets.load_dataset` loads them from the Hub."""
    console.print(f"\n[bold]>>> datasets.load_dataset({DATASET!r})[/bold]", highlight=False)
    command = [sys.executable, "-m", "demo.readback", DATASET, str(workspace.root)]
    ended = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if ended.returncode != 0:
        raise CommunityForensicsError(f"{DATASET} cannot be loaded from the embedded Hub; see the message above")
    read: dict[str, dict[str, int]] = json.loads(ended.stdout)
    console.print(f"{read['images']} images loaded; the sha256 of each equals that in its row", highlight=False)
    return read["rows"]


if __name__ == "__main__":
    run_command(demo)
