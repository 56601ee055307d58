"""Workspaces as the stages leave them: real PNGs, real parts, written by the records themselves."""

import hashlib
import io
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from captioning.prompt import Prompt
from crawler.catalog import CatalogEntry, Hyperparameters, HyperparameterSources
from manifests.manifest import ManifestRow, manifest_path
from samplers.options import Store
from samplers.outcomes import Outcome, Status, write_outcome
from samplers.sample import ImageFile, Sample, place_in_part
from tests.records import catalog_entry
from workspace import records
from workspace.layout import Workspace, part_name

#: The command cf-build-manifest, of the code that is tested.
BUILD = [sys.executable, "-c", "from manifests.cli import build_manifest; build_manifest()"]


def png(seed: int, size: int = 16) -> bytes:
    """A PNG without metadata whose pixels hang on `seed`."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def entry(name: str, rank: int, **changes: Any) -> CatalogEntry:
    values: dict[str, Any] = {
        "revision": sha256(name.encode())[:40],
        "rank": rank,
        "downloads": 1000 - rank,
        "likes": 3,
        "license": "creativeml-openrail-m",
        "license_source": "card",
        "license_family": "openrail",
        "hf_pipeline_tag": "text-to-image",
        "hf_diffusers_tag": "StableDiffusionPipeline",
        "architecture_evidence": "pipeline class",
        "base_model": "org/base",
        "lineage": ("org/base", "org/older"),
        "hyperparameters": Hyperparameters(num_inference_steps=20, guidance_scale=7.5, scheduler="DDIMScheduler"),
        "hyperparameter_sources": HyperparameterSources(num_inference_steps="card", guidance_scale="default"),
        "download_bytes": 123,
    }
    return catalog_entry(name, **values | changes)


def rows_of(workspace: Workspace) -> list[ManifestRow]:
    """The rows of its manifest."""
    return records.read(manifest_path(workspace), ManifestRow)


def own_prompt(source: str, number: int) -> Prompt:
    """A prompt of a file of prompts, without a real image."""
    return Prompt(
        prompt_id=f"{source}/{number}",
        prompt=f"something that nobody has photographed, number {number}",
        real_source=source,
        real_title=source,
        caption_origin="user",
    )


@dataclass
class Builder:
    """Puts a workspace together a record at a time."""

    workspace: Workspace
    salt: str = ""
    catalog: list[CatalogEntry] = field(default_factory=list)
    prompts: dict[str, list[Prompt]] = field(default_factory=dict)
    samples: dict[str, list[Sample]] = field(default_factory=dict)

    def picture(self, name: str, index: int, size: int = 16) -> bytes:
        """The picture that `name` makes as its `index`-th; another one in a workspace of another salt."""
        return png(int(sha256(f"{self.salt}{name} {index}".encode())[:8], 16), size)

    def real(self, source: str, number: int, redistributable: bool | None = True, **changes: Any) -> Prompt:
        """A real image and its caption."""
        content = self.picture(source, number, 24)
        path = self.workspace.root.parent / "real" / source / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        values: dict[str, Any] = {
            "prompt_id": f"{source}/folder/{number}.png",
            "prompt": f"a photograph of thing {number}",
            "real_source": source,
            "real_title": source.upper(),
            "real_id": f"folder/{number}.png",
            "real_path": str(path),
            "real_sha256": sha256(content),
            "real_format": "PNG",
            "real_width": 24,
            "real_height": 24,
            "caption_origin": "dataset",
            "license": "CC0-1.0",
            "redistributable": redistributable,
        }
        prompt = Prompt(**values | changes)
        self.prompts.setdefault(source, []).append(prompt)
        return prompt

    def generator(self, name: str, outcome: Status | None = "done", **changes: Any) -> CatalogEntry:
        """A generator of the catalogue, and how sampling it ended."""
        made = entry(name, len(self.catalog) + 1, **changes)
        self.catalog.append(made)
        if outcome is not None:
            said = Outcome(
                model_name=name,
                revision=made.revision,
                further_revision=made.further_revision,
                status=outcome,
                detail=f"how it {outcome}",
            )
            write_outcome(self.workspace, said)
        return made

    def sample(
        self, generator: CatalogEntry, prompt: Prompt | None, content: bytes | None = None, **changes: Any
    ) -> Sample:
        """The next try of a generator: kept, unless `changes` give another status."""
        rows = self.samples.setdefault(generator.generator, [])
        index = changes.pop("index", len(rows))
        values: dict[str, Any] = {
            "model_name": generator.model_name,
            "revision": generator.revision,
            "index": index,
            "round": 1,
            "status": "ok",
            "image": ImageFile(),
            "seed": 7 * index,
            "batch_size": 4,
            "call_size": 4,
            "device": "cpu",
            "dtype": "float32",
            "scheduler": "DDIMScheduler",
            "libraries": "diffusers=0.42.1, torch=2.13.0",
            "prompt_id": prompt.prompt_id if prompt else None,
            "prompt": prompt.prompt if prompt else None,
            "real_source": prompt.real_source if prompt else None,
            "num_inference_steps": 20,
            "guidance_scale": 7.5,
            "nsfw_flag": False,
            "nsfw_score": -0.1,
        }
        if changes.get("status", "ok") == "ok":
            content = content or self.picture(generator.generator, index)
            image_name = f"{index:08d}.png"
            file = self.workspace.images_of(generator.generator) / image_name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            values |= {
                "image": ImageFile(path=str(file.relative_to(self.workspace.root))),
                "image_name": image_name,
                "sha256": sha256(content),
                "file_size": len(content),
                "format": "PNG",
                "mode": "RGB",
                "width": int.from_bytes(content[16:20], "big"),
                "height": int.from_bytes(content[20:24], "big"),
            }
        sample = Sample(**values | changes)
        rows.append(sample)
        return sample

    def change(self, generator: str, row: int, **changes: Any) -> None:
        """Change one row, as damage would."""
        rows = self.samples[generator]
        rows[row] = replace(rows[row], **changes)

    def write(self, rows_a_part: int = 5, store: Store = "files") -> Workspace:
        """Write every record where the stages write them, and the images where that store has them."""
        records.write(self.workspace.catalog, CatalogEntry, self.catalog)
        for source, prompts in self.prompts.items():
            records.write(self.workspace.prompts_of(source) / part_name(0), Prompt, prompts)
        for name, samples in self.samples.items():
            for number, start in enumerate(range(0, len(samples), rows_a_part)):
                part = self.workspace.samples_of(name) / part_name(number)
                rows = samples[start : start + rows_a_part]
                if store == "parquet":
                    rows = [self._inside(part, row) for row in rows]
                records.write(part, Sample, rows)
        return self.workspace

    def _inside(self, part: Path, row: Sample) -> Sample:
        """The row with its image in itself, as far as there is one."""
        file = self.workspace.root / str(row.image.path)
        if row.image_name is None or not file.is_file():
            return row
        place = place_in_part(part.relative_to(self.workspace.root).as_posix(), row.image_name)
        content = file.read_bytes()
        file.unlink()
        return replace(row, image=ImageFile(bytes=content, path=place))


def fill(builder: Builder) -> Builder:
    """Three sampled generators, one that could not be, and two real sources, one of which may not be passed on."""
    prompts = [builder.real("photos", number) for number in range(6)]
    prompts += [builder.real("locked", number, redistributable=False, license=None) for number in range(100, 103)]
    painter = builder.generator("org/painter")
    sketcher = builder.generator("org/sketcher", license=None, license_source="none", license_family="unknown")
    dreamer = builder.generator(
        "solo-dreamer", subset="Manual", architecture="PixDiff", task="unconditional", lineage=(), base_model=None
    )
    builder.generator("org/broken", status="incompatible", reason="pickle-only", outcome=None)
    builder.generator("org/crashing", outcome="crashed")
    for prompt in prompts:
        builder.sample(painter, prompt)
        builder.sample(sketcher, prompt)
    builder.sample(painter, prompts[0], status="nsfw", nsfw_flag=True, nsfw_score=0.2)
    builder.sample(painter, prompts[1], status="nan", nsfw_flag=None, nsfw_score=None)
    for _ in range(4):
        builder.sample(dreamer, None)
    builder.sample(dreamer, None, content=builder.picture("solo-dreamer", 1))
    return builder
