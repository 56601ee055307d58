"""A run on the small world, as functions that a forked process can call too."""

import os
import signal
from pathlib import Path

from detectors.options import TrainOptions
from detectors.run import Run
from detectors.training.stage import trained
from tests.detectors.training.worlds import world
from workspace.command_line import run as run_command
from workspace.layout import Workspace

STEPS = 10
SETTINGS = {
    "batch": 8,
    "micro_batch": 4,
    "validate_every": 4,
    "validation_images": 12,
    "lr": 3e-3,
    "augmentation": "flip",
    "warmup": 0.1,
}


def options(save_minutes: float = 10.0, steps: int = STEPS, **settings: object) -> TrainOptions:
    return TrainOptions(
        device="cpu", steps=steps, settings={**SETTINGS, **settings}, workers=1, save_minutes=save_minutes
    )


def run(folder: Path, save_minutes: float = 10.0, model: str = "tiny", **more: object) -> Run:
    """The finished run of a model on the world in a workspace."""
    index, fold = world(each=6)
    return trained(Workspace.open(folder), index, fold, model, options(save_minutes, **more))  # type: ignore[arg-type]


def run_killed_at(folder: Path, image: int) -> None:
    """The same, which kills itself when so many images were asked for; states are saved after every step."""
    from detectors.training.preparing import Preparers

    prepared, asked = Preparers._prepared, []

    def counted(self: Preparers, one: object) -> object:
        asked.append(one)
        if len(asked) == image:
            os.kill(os.getpid(), signal.SIGKILL)
        return prepared(self, one)  # type: ignore[arg-type]

    Preparers._prepared = counted  # type: ignore[method-assign, assignment]
    run(folder, save_minutes=1e-9)


def run_as_command(folder: Path) -> None:
    """The same as a command, which signals interrupt."""
    run_command(lambda: run(folder))


def run_as_one_of(folder: Path, rank: int, processes: int, port: int) -> None:
    """The same in one of several processes, with the environment that `accelerate launch --cpu` gives them."""
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(processes),
        "LOCAL_WORLD_SIZE": str(processes),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "ACCELERATE_USE_CPU": "true",
        "GLOO_SOCKET_IFNAME": "lo",
    }
    run(folder)
