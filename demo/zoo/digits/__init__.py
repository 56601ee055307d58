"""Three trained generators of handwritten digits: their images can be read, so a wrong prompt or class is noticed.

    if-digits     text-conditional pixel diffusion (IFPipeline): "a handwritten digit seven"
    ddpm-digits   unconditional pixel diffusion (DDPMPipeline), one grey channel
    dit-digits    class-conditional latent diffusion (DiTPipeline), ten named classes

Each is a complete repository in `repositories/`, card and weights, written by `python -m demo.zoo.digits.training NAME`
and committed; to build one is to copy it. torch is imported only if a generator is trained.
"""

import shutil
from pathlib import Path

from demo.zoo.repository import Repository

REPOSITORIES = Path(__file__).parent / "repositories"
"""The committed repositories, one folder each."""


def repositories() -> list[Repository]:
    """All three."""
    return [
        _trained("if-digits", downloads=41_200, likes=118, created_at="2024-05-11T08:12:45.000Z"),
        _trained("ddpm-digits", downloads=17_950, likes=42, created_at="2023-09-02T17:30:00.000Z"),
        _trained("dit-digits", downloads=12_480, likes=27, created_at="2024-08-23T21:04:10.000Z"),
    ]


def _trained(name: str, *, downloads: int, likes: int, created_at: str) -> Repository:
    def build(folder: Path) -> None:
        shutil.copytree(REPOSITORIES / name, folder, dirs_exist_ok=True)

    return Repository(f"inkwell/{name}", build, downloads, likes=likes, created_at=created_at)
