"""The whole pipeline, on a Hub on this disk, by the same command lines a real run uses.

The zoo is put on an embedded Hub, the photographs into a folder, and then the five stages are run one after
another as a person would type them. Nothing differs from a real run but smaller
numbers and the environment that leads the clients to the embedded Hub and nowhere else. Every
step finds what it finished before, so Ctrl-C and a second start cost nothing but the time.
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

from demo import photographs
from demo.stages import run_stage
from demo.summary import summarise
from demo.zoo import building
from localhub.process import HubProcess
from workspace.command_line import run
from workspace.errors import CommunityForensicsError
from workspace.extras import require_extra
from workspace.identity import sha256_of_file
from workspace.layout import Workspace

DATASET = "forensics-demo/community-forensics-tiny"

app = typer.Typer(add_completion=False)


@app.command()
def demo(
    directory: Annotated[Path, typer.Option(help="Where the demo keeps its Hub and its workspace.")] = Path("demo-run"),
    images: Annotated[int, typer.Option(min=1, help="Images wanted of each generator.")] = 16,
) -> None:
    """Run crawl, caption, sample, build-manifest and publish on an embedded Hub, and read the dataset back.

    Interrupt it whenever you like: the next run continues from there.
    """
    require_extra("demo", "the demo")
    console = Console()
    # Another zoo or another library gives other weights, hence another run: it gets a folder of its own.
    root = (directory / zoo_version()).resolve()
    workspace = Workspace.open(root / "workspace")

    console.print(f"[bold]The embedded Hub and its zoo[/bold] in {root / 'hub'}", highlight=False)
    building.fill(root / "hub")
    photographs.write_digits(root / "real" / "digits")
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
                f"photos={root / 'real' / 'photos'}",
            ],
            ["cf-sample", "--images", str(images), "--batch-size", "4"],
            ["cf-build-manifest"],
            ["cf-publish", DATASET],
        ):
            run_stage(command, environment, console)
        published = read_back(workspace, environment, console)

    console.print()
    console.print(summarise(workspace, published))
    console.print(f"\nThe contact sheet: {(workspace.report / 'index.html').as_uri()}", highlight=False, soft_wrap=True)


def zoo_version() -> str:
    """Eight digits that change when the zoo or what builds it does."""
    from hashlib import sha256

    here = Path(__file__).parent
    sources = sorted(path for path in here.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    built_with = [f"{path.relative_to(here)} {sha256_of_file(path)}" for path in sources]
    built_with += [f"{name} {version(name)}" for name in ("diffusers", "torch", "transformers")]
    return sha256("\n".join(built_with).encode()).hexdigest()[:8]


def stage_environment(root: Path, workspace: Workspace, hub: HubProcess) -> dict[str, str]:
    """What the stages see: the embedded Hub, folders of the demo's own, and nothing of the user's Hub account."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING_FACE_"))}
    # Tiny models run ten times faster on one thread than on two that wait for each other.
    environment.setdefault("OMP_NUM_THREADS", "1")
    return (
        environment
        | hub.environment()
        | {
            "CF_WORKSPACE": str(workspace.root),
            "CF_WEIGHTS_DIR": str(root / "weights"),
            "HF_HOME": str(root / "hf-home"),
            # What is downloaded here is done before a bar is drawn.
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        }
    )


def read_back(workspace: Workspace, environment: dict[str, str], console: Console) -> dict[str, int]:
    """The rows of each split, as `datasets.load_dataset` finds them on the Hub."""
    console.print(f"\n[bold]>>> datasets.load_dataset({DATASET!r})[/bold]", highlight=False)
    command = [sys.executable, "-m", "demo.readback", DATASET, str(workspace.root)]
    ended = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if ended.returncode != 0:
        raise CommunityForensicsError(f"{DATASET} could not be read back from the embedded Hub")
    read: dict[str, dict[str, int]] = json.loads(ended.stdout)
    console.print(f"{read['images']} images read, each with the sha256 its row says", highlight=False)
    return read["rows"]


if __name__ == "__main__":
    run(app)
