"""`make lint` fails on each import that the architecture forbids, and names the contract.

Imports are planted in the graph that import-linter checks, and once, for all contracts together, in a copy of the
files.
"""

import copy
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import grimp
import pytest
from importlinter import Contract
from importlinter.api import read_configuration
from importlinter.contracts.acyclic_siblings import AcyclicSiblingsContract
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.contracts.layers import LayersContract
from importlinter.contracts.protected import ProtectedContract

ROOT = Path(__file__).parents[2]
CONFIGURATION = read_configuration(str(ROOT / "pyproject.toml"))
SESSION: dict[str, Any] = CONFIGURATION["session_options"]
ROOMS: list[str] = SESSION["root_packages"]
OPTIONS: dict[str, dict[str, Any]] = {options["name"]: options for options in CONFIGURATION["contracts_options"]}
TYPES: dict[str, type[Contract]] = {
    "acyclic_siblings": AcyclicSiblingsContract,
    "forbidden": ForbiddenContract,
    "layers": LayersContract,
    "protected": ProtectedContract,
}

#: A forbidden import (importer, imported) and the contract that must say so.
PLANTED = [
    ("workspace.layout", "crawler.catalog", "Dependencies point down"),
    ("crawler.catalog", "captioning.prompt", "Dependencies point down"),
    ("captioning.prompt", "crawler.catalog", "Dependencies point down"),
    ("engines.claims", "samplers.planning.plan", "Dependencies point down"),
    ("engines.task", "engines.claims", "Layers of engines"),
    ("crawler.catalog", "samplers.sample", "Dependencies point down"),
    ("samplers.sample", "manifests.manifest", "Dependencies point down"),
    ("manifests.manifest", "community_forensics", "Dependencies point down"),
    ("samplers.planning.plan", "demo.stages", "Dependencies point down"),
    ("community_forensics", "demo.stages", "Dependencies point down"),
    ("demo.stages", "benchmarks.timing", "Dependencies point down"),
    ("localhub.app", "samplers.outcomes", "Dependencies point down"),
    ("localhub.app", "crawler.catalog", "Dependencies point down"),
    ("localhub.app", "crawler.hub.client", "Public face of the crawler"),
    ("samplers.assignment.pending", "crawler.hub.client", "Public face of the crawler"),
    ("samplers.assignment.pending", "crawler.crawl", "Public face of the crawler"),
    ("manifests.choices", "crawler.lineage", "Public face of the crawler"),
    ("demo.stages", "crawler.crawl", "Public face of the crawler"),
    ("samplers.assignment.pending", "captioning.copying", "Public face of captioning"),
    ("manifests.images", "captioning.images", "Public face of captioning"),
    ("manifests.images", "captioning.stage", "Public face of captioning"),
    ("localhub.app", "samplers.running.supervisor", "Public face of the samplers"),
    ("manifests.building", "samplers.weights.store", "Public face of the samplers"),
    ("manifests.building", "samplers.assignment.pending", "Public face of the samplers"),
    ("manifests.checks.pictures", "samplers.child.png", "Public face of the samplers"),
    ("community_forensics", "samplers.child.loop", "Public face of the samplers"),
    ("community_forensics", "manifests.checks", "Public face of manifests"),
    ("demo.stages", "manifests.building", "Public face of manifests"),
    ("manifests.stage", "upkeep.removal", "Dependencies point down"),
    ("upkeep.removal", "manifests.stage", "Public face of manifests"),
    ("upkeep.removal", "samplers.running.supervisor", "Public face of the samplers"),
    ("community_forensics", "upkeep.targets", "Public face of upkeep"),
    ("community_forensics", "upkeep.cli", "Command lines are imported by nobody"),
    ("upkeep.targets", "upkeep.removal", "Layers of upkeep"),
    ("crawler.hub.client", "localhub.store", "The embedded Hub is for demo, benchmarks and tests"),
    ("samplers.weights.store", "localhub.process", "The embedded Hub is for demo, benchmarks and tests"),
    ("manifests.building", "localhub.store", "The embedded Hub is for demo, benchmarks and tests"),
    ("community_forensics", "localhub.process", "The embedded Hub is for demo, benchmarks and tests"),
    ("crawler.crawl", "crawler.cli", "Command lines are imported by nobody"),
    ("samplers.status.run", "samplers.status.cli", "Command lines are imported by nobody"),
    ("community_forensics", "manifests.cli", "Command lines are imported by nobody"),
    ("benchmarks.timing", "demo.__main__", "Command lines are imported by nobody"),
    ("samplers.running.supervisor", "samplers.child.loading", "The child is started by the worker only"),
    ("samplers.assignment.pending", "samplers.child.size_guard", "The child is started by the worker only"),
    ("manifests.checks.pictures", "samplers.child.png", "The child is started by the worker only"),
    ("samplers.child.loading", "crawler.hub.client", "The child has no client of the Hub"),
    ("samplers.child.loading", "samplers.weights.store", "The child has no client of the Hub"),
    ("samplers.child.loading", "huggingface_hub", "The child has no client of the Hub"),
    ("samplers.child.loop", "http", "The child has no client of the Hub"),
    # By way of a module that the child imports.
    ("samplers.sample", "workspace.retry", "The child has no client of the Hub"),
    ("samplers.child.loading", "huggingface_hub", "Who speaks to the Hub"),
    ("samplers.running.supervisor", "httpx2", "Who speaks to the Hub"),
    ("manifests.building", "huggingface_hub", "Who speaks to the Hub"),
    ("samplers.running.supervisor", "torch", "Who opens weights"),
    ("samplers.weights.store", "safetensors", "Who opens weights"),
    ("crawler.pipelines.traits", "diffusers", "Who opens weights"),
    ("samplers.running.supervisor", "openai", "Who speaks to providers of images"),
    ("demo.stages", "detectors.training.loop", "Public face of the detectors"),
    ("detectors.data.index", "detectors.results.table", "Layers of the detectors"),
    ("crawler.hub.client", "crawler.row_builder", "Layers of the crawler"),
    ("crawler.card.licenses", "crawler.hub.client", "Layers of the crawler"),
    ("crawler.catalog", "crawler.lineage", "Layers of the crawler"),
    ("captioning.sources.coco", "captioning.selection", "Layers of captioning"),
    ("captioning.blip", "captioning.stage", "Layers of captioning"),
    ("captioning.blip", "captioning.selection", "Layers of captioning"),
    ("samplers.child.loop", "samplers.running.supervisor", "Layers of the samplers"),
    ("samplers.child.loop", "samplers.assignment.pending", "Layers of the samplers"),
    ("samplers.child.loop", "samplers.storage.progress", "Layers of the samplers"),
    ("samplers.child.loop", "samplers.weights.pool", "Layers of the samplers"),
    ("samplers.planning.plan", "samplers.child.loading", "Layers of the samplers"),
    ("samplers.status.run", "samplers.running.supervisor", "Layers of the samplers"),
    ("manifests.building", "manifests.report", "Layers of manifests"),
    ("manifests.checks.files", "manifests.building", "Layers of manifests"),
    ("manifests.publishing.publish", "manifests.restoring.restore", "Layers of manifests"),
    ("manifests.report.rows", "manifests.publishing.publish", "Layers of manifests"),
    ("localhub.store", "localhub.app", "Layers of the embedded Hub"),
    ("workspace.atomic", "workspace.layout", "Layers of the workspace"),
    ("samplers.child.clock", "samplers.child.loop", "No cycles between neighbours"),
    ("captioning.sources.source", "captioning.sources.registry", "No cycles between neighbours"),
    ("demo.zoo.cards", "demo.zoo.building", "No cycles between neighbours"),
]

#: Rooms that may import any module of a room. All others are limited to its public face.
OPEN_TO = {
    "workspace": set(ROOMS),
    "engines": set(ROOMS) - {"workspace"},
    "localhub": {"demo", "benchmarks"},
    # Nothing imports the adapters: the child runs them as files.
    "demo": {"benchmarks", "generators"},
    "community_forensics": {"benchmarks", "generators"},
}


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(*ROOMS, include_external_packages=True, cache_dir=None)


def broken(graph: grimp.ImportGraph, *names: str) -> set[str]:
    """Names of the contracts that `graph` breaks, of those named (default: all)."""
    checked = (
        TYPES[options["type"]](name=name, session_options=SESSION, contract_options=options)
        for name, options in OPTIONS.items()
        if name in (names or OPTIONS)
    )
    # A contract takes the imports that it ignores out of the graph.
    return {contract.name for contract in checked if not contract.check(copy.deepcopy(graph), verbose=False).kept}


def planted(graph: grimp.ImportGraph, importer: str, imported: str) -> grimp.ImportGraph:
    changed = copy.deepcopy(graph)
    changed.add_import(importer=importer, imported=imported, line_number=1, line_contents=f"import {imported}")
    return changed


def test_the_packages_as_they_are_break_no_contract(graph: grimp.ImportGraph) -> None:
    assert broken(graph) == set()


@pytest.mark.parametrize(("importer", "imported", "contract"), PLANTED)
def test_an_import_across_a_wall_breaks_its_contract(
    graph: grimp.ImportGraph, importer: str, imported: str, contract: str
) -> None:
    assert {importer, *([imported] if imported.split(".")[0] in ROOMS else [])} <= graph.modules
    assert contract in broken(planted(graph, importer, imported), contract)


def test_every_contract_has_a_planted_import() -> None:
    assert {contract for _, _, contract in PLANTED} == set(OPTIONS)


def test_every_top_level_package_has_a_place_in_the_layers() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py") if not path.parent.name.startswith("tests")}
    layers = OPTIONS["Dependencies point down"]["layers"]
    assert packages == set(ROOMS) == {name.strip() for layer in layers for name in layer.split("|")}


def test_a_new_module_of_any_package_is_closed_to_other_rooms(graph: grimp.ImportGraph) -> None:
    """A package that no contract covers, or a new one that nobody thought of, would be open here."""
    packages = [name for name in graph.modules if name.split(".")[0] in ROOMS and graph.find_children(name)]
    assert set(packages) >= {"samplers.child", "manifests.checks", "crawler.card", "demo.zoo.digits"}
    # The imports of today break nothing: without them a check takes no time.
    bare = grimp.ImportGraph()
    for module in graph.modules:
        bare.add_module(module, is_squashed=graph.is_module_squashed(module))
    wrong = []
    for package, room in product(sorted(packages), ROOMS):
        owner, module = package.split(".")[0], f"{package}.new_module"
        if room == owner:
            continue
        # Between rooms: the layers, and what protects the owner.
        protecting = [name for name, options in OPTIONS.items() if options.get("protected_modules") == [owner]]
        bare.add_import(importer=room, imported=module)
        is_open = not broken(bare, "Dependencies point down", *protecting)
        bare.remove_import(importer=room, imported=module)
        if is_open != (room in OPEN_TO.get(owner, ())):
            wrong.append(f"{room} -> {module} is {'allowed' if is_open else 'forbidden'}")
    assert wrong == []


@pytest.mark.parametrize(
    "room", ["crawler", "captioning", "samplers", "manifests", "localhub", "workspace", "engines", "detectors"]
)
def test_a_new_file_of_a_room_needs_a_layer(graph: grimp.ImportGraph, room: str) -> None:
    changed = copy.deepcopy(graph)
    changed.add_module(f"{room}.new_module")
    [contract] = [name for name, options in OPTIONS.items() if options.get("containers") == [room]]
    assert broken(changed) == {contract}


def test_the_linter_itself_names_every_contract_that_files_break(tmp_path: Path) -> None:
    """What `make lint` runs, on a copy of the files: silent about them as they are, and about each planted import."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for room in ROOMS:
        shutil.copytree(ROOT / room, tmp_path / room, ignore=_all_but_modules)
    untouched = lint(tmp_path)
    assert untouched.returncode == 0, untouched.stdout
    assert untouched.stdout.count(" KEPT") == len(OPTIONS)

    for importer, imported in {contract: (importer, imported) for importer, imported, contract in PLANTED}.values():
        file = tmp_path.joinpath(*importer.split("."))
        file = file / "__init__.py" if file.is_dir() else file.with_suffix(".py")
        file.write_text(f"{file.read_text()}\nimport {imported}\n")
    damaged = lint(tmp_path)
    assert damaged.returncode == 1
    assert [name for name in OPTIONS if f"{name} BROKEN" not in damaged.stdout] == []


def lint(folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


def _all_but_modules(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if not name.endswith(".py") and not Path(folder, name).is_dir()]
