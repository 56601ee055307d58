"""A generator whose images depend on their index alone, and a process that stores it, without a child."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from crawler.catalog import Hyperparameters
from samplers.assignment.units import units_of
from samplers.child.png import Png
from samplers.planning.cost import Cost
from samplers.planning.plan import Plan, PlannedSample
from samplers.planning.recipe import Recipe
from samplers.planning.segments import Segment, segments_of
from samplers.sample import ImageFile, Sample
from samplers.storage.damage import damaged_images, without_damaged_parts
from samplers.storage.generator_store import GeneratorStore
from samplers.storage.missing_ranges import MissingRange, next_range, range_of
from samplers.storage.progress import progress_of
from samplers.storage.segment_progress import progress_by_segment
from tests.records import catalog_entry
from workspace.layout import Workspace

NAME = "org/name"
#: Of twenty tries: two are rejected, and two images are equal. Sixteen images need nineteen tries: three parts.
REJECTED, EQUAL = frozenset({3, 9}), {7: 6, 26: 5}
RECIPE = Recipe(images=16, batch_size=2, max_tries=24, seed=0, steps=None, safety_checker="a@b", prompts=None)
#: In a second round eight more, one of which is equal to one of the first round: nine tries from the 25th on, one part.
GROWN = replace(RECIPE, round=2, images=24, batch_size=3, max_tries=40)

#: A cost at which every batch is a unit.
ONE_BATCH_A_UNIT = Cost(load=0.0, image=1e6)


def segments_for(*recipes: Recipe) -> tuple[Segment, ...]:
    """The segments of the generator in rounds with these recipes."""
    return segments_of(catalog_entry(model_name=NAME, task="unconditional"), recipes)


def plan_of(segment: Segment = segments_for(RECIPE)[0]) -> Plan:
    recipe = segment.recipe
    return Plan(
        model_name=NAME,
        revision="a" * 40,
        kind="checkpoint",
        task="unconditional",
        variant=None,
        hyperparameters=Hyperparameters(),
        round=recipe.round,
        batch_size=recipe.batch_size,
        store=recipe.store,
        first=segment.first,
        samples=tuple(PlannedSample(index=index, seed=100 + index) for index in range(segment.first, segment.stop)),
    )


def png_of(index: int, device: str = "cpu") -> Png:
    """The image of a sample; each kind of device makes others."""
    shade = EQUAL.get(index, index) + (0 if device == "cpu" else 100)
    return Png.of(np.full((4, 4), shade, np.uint8))


def row_of(index: int, device: str = "cpu", **changes: Any) -> Sample:
    """The row of a sample, before it is stored."""
    row = Sample(
        model_name=NAME,
        revision="a" * 40,
        index=index,
        round=1,
        status="nan" if index in REJECTED else "ok",
        image=ImageFile(),
        seed=100 + index,
        batch_size=2,
        call_size=2,
        device=device,
        dtype="float32",
        scheduler="",
        libraries="",
    )
    if index not in REJECTED:
        row = replace(row, width=4, height=4, nsfw_flag=False, **png_of(index, device).columns(index))
    return replace(row, **changes)


def batches(missing: MissingRange, device: str = "cpu") -> Iterator[tuple[list[Sample], dict[int, bytes]]]:
    """What a child makes of a range: batch by batch, whole or until the number of images is reached."""
    found, recipe = set(missing.kept), missing.segment.recipe
    for batch in plan_of(missing.segment).batches(missing.first, missing.stop):
        rows: list[Sample] = []
        for planned in batch:
            outside = planned.index < missing.first or planned.index >= missing.stop
            if outside or (missing.images is not None and len(found) >= missing.images):
                continue
            row = row_of(planned.index, device, round=recipe.round, batch_size=recipe.batch_size)
            found |= {row.sha256} if row.sha256 else set()
            rows.append(row)
        if rows:
            yield rows, {row.index: png_of(row.index, device).content for row in rows if row.sha256}


def store_all(
    workspace: Workspace,
    scratch: Path,
    recipe: Recipe | tuple[Recipe, ...] = RECIPE,
    device: str = "cpu",
    after_batch: Callable[[], None] = lambda: None,
) -> None:
    """What a process does with a generator that it takes up: all that is missing, of one round or several."""
    segments = segments_for(*(recipe if isinstance(recipe, tuple) else (recipe,)))
    progress = without_damaged_parts(progress_of(workspace, NAME), 0)
    damaged = damaged_images(workspace, NAME, progress, segments[0].recipe.store, 0)
    store = GeneratorStore(workspace, NAME, segments, scratch, progress, lambda: None)
    while (missing := next_range(store.progress, damaged, segments)) is not None:
        for rows, images in batches(missing, device):
            if missing.damaged:
                store.repair(rows, images, missing.damaged)
            else:
                store.add(rows, images)
            after_batch()
        damaged -= missing.damaged
    store.finish()


def help_all(workspace: Workspace, scratch: Path, recipe: Recipe | tuple[Recipe, ...], chance: random.Random) -> None:
    """What a process does that helps: units in any order, each after a fresh look, then what is left; without claims,
    so others do the same at the same moment."""
    segments = segments_for(*(recipe if isinstance(recipe, tuple) else (recipe,)))
    store = GeneratorStore(workspace, NAME, segments, scratch, progress_of(workspace, NAME), lambda: None)
    while units := units_of(progress_by_segment(store.progress, segments), ONE_BATCH_A_UNIT):
        unit = chance.choice(units)
        for first, stop in unit.ranges:
            for rows, images in batches(range_of(unit.segment, first, stop, ())):
                store.add(rows, images, alone=False)
        store.write_parts()
    store_all(workspace, scratch, recipe)


def flipped(path: Path) -> bytes:
    """A part or picture with another bit, where bits mean something: in a value of a row, or among the pixels."""
    content = bytearray(path.read_bytes())
    if path.suffix == ".parquet":
        chunk = pq.read_metadata(path).row_group(0).column(1)
        place = (chunk.dictionary_page_offset or chunk.data_page_offset) + chunk.total_compressed_size - 1
    else:
        place = content.find(b"IDAT") + 8
    content[place] ^= 1
    return bytes(content)


def files_in(workspace: Workspace) -> dict[str, bytes]:
    """All files below images/ and samples/, by path."""
    return {
        path.relative_to(workspace.root).as_posix(): path.read_bytes()
        for folder in (workspace.images, workspace.samples)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
