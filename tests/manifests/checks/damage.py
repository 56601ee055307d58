"""Workspaces whose files are damaged, and what must be said of them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from PIL import Image

from manifests.building import Built, build
from manifests.manifest import manifest_path
from manifests.options import BuildOptions, Verify
from manifests.tables.generators import read_generators
from samplers.sample import Sample
from tests.manifests.making import Builder, fill, sha256
from workspace.errors import CommunityForensicsError
from workspace.layout import Workspace, generator_folder, part_name

PAINTER = "org/painter"


@dataclass(frozen=True)
class Victim:
    """The generator whose files are damaged, in a workspace that is put together."""

    builder: Builder
    name: str = PAINTER

    @property
    def images(self) -> str:
        return f"images/{generator_folder(self.name)}"

    @property
    def parts(self) -> str:
        return f"samples/{generator_folder(self.name)}"

    @property
    def first(self) -> Path:
        return self.builder.workspace.root / self.images / "00000000.png"

    @property
    def rows(self) -> list[Sample]:
        return self.builder.samples[self.name]

    def change(self, row: int = 0, **changes: Any) -> None:
        self.builder.change(self.name, row, **changes)

    def rewrite(self, content: bytes) -> None:
        """Another file, with a row that agrees with its bytes."""
        self.first.write_bytes(content)
        self.change(sha256=sha256(content), file_size=len(content))

    def save(self, image: Image.Image, **options: Any) -> None:
        image.save(self.first, "PNG", **options)
        self.rewrite(self.first.read_bytes())


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)


def with_victims(root: Path, damages: Iterable[str], rejected: int = 0) -> tuple[Builder, dict[str, Victim]]:
    """A workspace with one more generator for each damage, each with six images and that many rejected ones."""
    builder = fill(Builder(Workspace.open(root / "workspace")))
    victims = {}
    for number, damage in enumerate(damages):
        generator = builder.generator(f"org/victim-{number:02}")
        for prompt in builder.prompts["photos"][:6]:
            builder.sample(generator, prompt)
        for _ in range(rejected):
            builder.sample(generator, builder.prompts["photos"][0], status="nsfw", nsfw_flag=True)
        victims[damage] = Victim(builder, generator.model_name)
    return builder, victims


def assert_left_out(built: Built, victim: Victim, message: str) -> None:
    """What was built says in one line that the generator is left out and why, and has none of its images."""
    (line,) = (line for line in built.damaged if line.startswith(f"{victim.name} "))
    message = message.replace("org--painter", victim.name.replace("/", "--")).replace(PAINTER, victim.name)
    assert re.match(rf"{victim.name} is left out: {message}", line), line
    assert line in list(built.lines())
    workspace = victim.builder.workspace
    assert victim.name not in pq.read_table(manifest_path(workspace), columns=["model_name"])["model_name"].to_pylist()
    assert {row.model_name: row.kept for row in read_generators(workspace)}.get(victim.name, 0) == 0


def assert_others_are_whole(built: Built, workspace: Workspace) -> None:
    names = pq.read_table(manifest_path(workspace), columns=["model_name"])["model_name"].to_pylist()
    whole = {"org/painter": 9, "org/sketcher": 9, "solo-dreamer": 4}
    assert {name: names.count(name) for name in {*names} - {None}} == whole
    kept = {row.model_name: row.kept for row in read_generators(workspace)}
    assert {name: kept[name] for name in whole} == whole
    assert list(built.lines())[-len(built.damaged) :] == built.damaged


def left_out(workspace: Workspace, message: str) -> None:
    """The manifest is built without the painter, and says so in one line."""
    built = build(workspace, BuildOptions(verify="full"))
    assert_left_out(built, Victim(Builder(workspace)), message)


def refused(workspace: Workspace, message: str, verify: Verify = "full") -> None:
    with pytest.raises(CommunityForensicsError, match=message):
        build(workspace, BuildOptions(verify=verify))
    assert not manifest_path(workspace).exists()
    assert not list(workspace.manifest.iterdir())


Damaged = tuple[Built, dict[str, Victim]]


def part(workspace: Workspace, name: str = PAINTER) -> Path:
    return workspace.samples_of(name) / part_name(0)
