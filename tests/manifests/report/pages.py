"""Reports of manifests that are written row by row, and how a test reads their charts."""

from pathlib import Path
from typing import Any

from manifests.manifest import ManifestRow, manifest_path
from manifests.report import write_report
from manifests.tables.generators import GeneratorRow, write_generators
from tests.manifests.making import png, sha256
from workspace import records
from workspace.layout import Workspace

#: What a page of ten thousand generators may weigh, bytes.
PAGE_BYTES = 15_000_000

#: JavaScript: what each chart's drawing says, by the chart's title.
CHARTS = """return Object.fromEntries(all(".chart").map(chart => [
    chart.querySelector("h3").textContent, [...chart.querySelectorAll("svg text")].map(text => text.textContent)]))"""


def generated(number: int, **changes: Any) -> GeneratorRow:
    """A row of the table of generators."""
    values: dict[str, Any] = {
        "model_name": f"org-{number % 97}/generator-{number:05d}",
        "revision": sha256(str(number).encode())[:40],
        "round": 1,
        "subset": "Systematic",
        "rank": number + 1,
        "downloads": 20_000 - number,
        "likes": 1,
        "license": "mit",
        "license_source": "card",
        "license_family": "open",
        "hf_pipeline_tag": "text-to-image",
        "hf_diffusers_tag": "StableDiffusionPipeline",
        "architecture": "LatDiff",
        "task": "text-to-image",
        "kind": "checkpoint",
        "hyperparameter_sources": "{}",
        "status": "compatible",
        "created_at": "2024-05-01T00:00:00Z",
        "outcome": "done",
        "split": "train",
        "tried": 1,
        "kept": 1,
        "nsfw": 0,
        "blank": 0,
        "nan": 0,
        "duplicate": 0,
    }
    values |= changes
    return GeneratorRow(**{"generator": values["model_name"], **values})


def image_of(generator: GeneratorRow, index: int = 0, **changes: Any) -> ManifestRow:
    """A generated image."""
    values: dict[str, Any] = {
        "image_name": f"{index:08d}.png",
        "label": 1,
        "subset": generator.subset,
        "split": generator.split,
        "round": 1,
        "generator": generator.generator,
        "model_name": generator.model_name,
        "revision": generator.revision,
        "index": index,
        "architecture": generator.architecture,
        "license": generator.license,
        "license_family": generator.license_family,
        "prompt": f"a thing of {generator.model_name}",
        "real_source": "coco",
        "real_title": "COCO",
        "real_id": f"{generator.rank}.jpg",
        "seed": index,
        "format": "PNG",
        "mode": "RGB",
        "width": 512,
        "height": 512,
        "sha256": sha256(f"{generator.model_name} {index}".encode()),
        "path": "images/picture.png",
    }
    return ManifestRow(**values | changes)


def real_image(number: int, **changes: Any) -> ManifestRow:
    values: dict[str, Any] = {
        "image_name": f"{number}.jpg",
        "label": 0,
        "subset": "Real",
        "split": "train",
        "round": 1,
        "architecture": "real",
        "license_family": "unknown",
        "prompt": f"a photograph of thing {number}",
        "real_source": "coco",
        "real_title": "COCO",
        "real_id": f"{number}.jpg",
        "format": "JPEG",
        "mode": "RGB",
        "width": 640,
        "height": 480,
        "sha256": sha256(str(number).encode()),
        "redistributable": True,
        "path": "images/picture.png",
    }
    return ManifestRow(**values | changes)


def written(workspace: Workspace, generators: list[GeneratorRow], rows: list[ManifestRow]) -> Path:
    """The report of a manifest that says this; all its images are one picture."""
    records.write(manifest_path(workspace), ManifestRow, rows)
    write_generators(workspace, generators)
    picture = workspace.root / "images" / "picture.png"
    if not picture.exists():
        picture.parent.mkdir(exist_ok=True)
        picture.write_bytes(png(1))
    return write_report(workspace)
