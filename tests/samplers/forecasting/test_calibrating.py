"""A dry run that measures the device, and what a real run of the same generators then wrote."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from crawler.catalog import CatalogEntry, Hyperparameters
from localhub.store import Store
from samplers.assignment.pending import find_pending
from samplers.forecasting.calibration import read_calibration
from samplers.forecasting.forecast import forecast
from samplers.options import SampleOptions
from samplers.running.supervisor import sample
from tests.samplers.conftest import BASE, CLASSES, NAN, PIXELS
from tests.samplers.inputs import PROMPTS, entry_of, write_catalog, write_prompts
from workspace.errors import CommunityForensicsError, UsageError
from workspace.layout import Workspace

SIDES = {BASE: 64, PIXELS: 32, CLASSES: 64, NAN: 64}
STEPS = {PIXELS: 2, CLASSES: 4, BASE: 6, NAN: 2}


def _entry(store: Store, name: str, rank: int = 1, steps: int | None = None) -> CatalogEntry:
    side = SIDES[name]
    settings = Hyperparameters(num_inference_steps=steps or STEPS[name], height=side, width=side)
    return entry_of(store, name, rank, hyperparameters=settings)


@pytest.fixture
def workspace(store: Store, tmp_path: Path) -> Workspace:
    """Three generators, and no prompts yet."""
    workspace = Workspace.open(tmp_path / "workspace")
    write_catalog(workspace, [_entry(store, name, rank) for rank, name in enumerate((PIXELS, BASE, CLASSES), 1)])
    return workspace


def _written(workspace: Workspace) -> list[Path]:
    folders = (workspace.images, workspace.samples, workspace.outcomes)
    return [path for folder in folders for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("store_as", ["files", "parquet"])
def test_the_dry_run_counts_the_files_and_bytes_that_a_run_then_writes(
    workspace: Workspace, options: SampleOptions, store_as: str
) -> None:
    names = SIDES.keys() - {NAN} if store_as == "files" else {PIXELS}
    options = replace(options, images=9, batch_size=1, store=store_as, only=tuple(names))
    # Of 9 images in batches of 1: a part of 8 and one of 1.
    before = forecast(workspace, options, calibrate=store_as == "files")
    write_prompts(workspace, PROMPTS)
    sample(workspace, options)
    written = _written(workspace)
    assert before.files == len(written) == len(names) * (2 + 1 + (9 if store_as == "files" else 0))
    size = sum(path.stat().st_size for path in written)
    assert before.stored_bytes.low < size < before.stored_bytes.high
    for shard in ("1/1", "1/2", "2/2"):
        after = forecast(workspace, replace(options, shard=shard))
        assert (after.total_images, after.files, after.seconds.middle) == (0, 0, 0)


def test_a_calibration_measures_the_cheapest_a_middle_and_the_most_expensive_and_keeps_only_times(
    workspace: Workspace, options: SampleOptions, store: Store
) -> None:
    entries = [_entry(store, name, rank) for rank, name in enumerate((PIXELS, BASE, CLASSES), 1)]
    # Between the three, and on no Hub: they are not asked for.
    entries += [replace(_entry(store, PIXELS, 3 + steps, steps), model_name=f"org/between-{steps}") for steps in (3, 5)]
    write_catalog(workspace, entries)
    options = replace(options, images=4, batch_size=2)
    made = forecast(workspace, options, calibrate=True)
    files = [path.relative_to(workspace.root).as_posix() for path in workspace.root.rglob("*") if path.is_file()]
    assert sorted(files) == ["catalog.parquet", "logs/calibration.json"]
    assert not options.weights_dir or not list(options.weights_dir.rglob("*.safetensors"))
    calibration = read_calibration(workspace)
    assert calibration is not None
    costs = find_pending(workspace, options, dry_run=True).costs
    assert [one.generator for one in calibration.generators] == [PIXELS, CLASSES, BASE]
    assert calibration.failed == {}
    for one in calibration.generators:
        assert one.images == 2
        assert min(one.seconds[phase] for phase in ("load", "sample", "check")) > 0
        assert one.pixels == 2 * SIDES[one.generator] ** 2
        assert one.nominal_sample == pytest.approx(2 * costs[one.generator].image)
    assert made.device == "cpu"
    assert any("a batch of 3 generators on cpu (--calibrate" in line for line in made.rests_on)
    # A tiny model takes no fraction of a second to load: measured, not computed.
    assert made.seconds.middle > sum(one.seconds["load"] for one in calibration.generators)
    # The next dry run finds it, of whatever shard.
    again = forecast(workspace, replace(options, shard="2/2"))
    assert again.rests_on == made.rests_on
    assert again.seconds == made.seconds


def test_a_generator_that_fails_is_named_and_its_neighbour_measured(
    store: Store, options: SampleOptions, workspace: Workspace
) -> None:
    broken = replace(_entry(store, BASE), model_name="org/absent", rank=9)
    write_catalog(workspace, [_entry(store, PIXELS), broken])
    made = forecast(workspace, options, calibrate=True)
    calibration = read_calibration(workspace)
    assert calibration is not None
    assert [one.generator for one in calibration.generators] == [PIXELS]
    assert any(line.startswith("--calibrate: org/absent gave no batch: fetch-failed: ") for line in made.notes)
    write_catalog(workspace, [broken])
    with pytest.raises(CommunityForensicsError, match=r"no generator gave a batch .org/absent: fetch-failed"):
        forecast(workspace, options, calibrate=True)
    # The former calibration is still there.
    assert read_calibration(workspace) == calibration


def test_what_is_no_calibration_is_one_line_with_its_file(
    make_workspace: Callable[..., Workspace], store: Store
) -> None:
    workspace = make_workspace(_entry(store, PIXELS))
    workspace.logs.mkdir()
    for text in ("", "[]", "{}", json.dumps({"generators": [], "device": "cpu", "measured_at": "x"}), '{"a": 1}'):
        (workspace.logs / "calibration.json").write_text(text)
        with pytest.raises(UsageError, match=r"calibration\.json is damaged .* remove it") as refused:
            forecast(workspace, SampleOptions())
        assert "\n" not in str(refused.value)
