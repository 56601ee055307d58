"""A workspace to export: generators in train and test, real images of several formats and modes."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from captioning.prompt import Prompt
from manifests.building import build
from manifests.options import BuildOptions
from tests.manifests.making import Builder, sha256
from workspace.layout import Workspace


def real_as(builder: Builder, number: int, image_format: str, mode: str = "RGB", **changes: Any) -> Prompt:
    """A real image of this format and mode."""
    noise = np.random.default_rng(number).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).convert(mode).save(buffer, image_format)
    prompt = builder.real(
        "photos",
        number,
        real_format=image_format,
        real_mode=mode,
        real_width=30,
        real_height=20,
        real_sha256=sha256(buffer.getvalue()),
        **changes,
    )
    Path(prompt.real_path).write_bytes(buffer.getvalue())
    return prompt


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Four generators without common ancestors, two of them for testing, with names that differ in case only."""
    builder = Builder(Workspace.open(tmp_path_factory.mktemp("export") / "workspace"))
    formats = [("PNG", "RGB"), ("JPEG", "RGB"), ("JPEG", "L"), ("WEBP", "RGB"), ("PNG", "P"), ("GIF", "P")]
    prompts = [real_as(builder, number, *formats[number % len(formats)]) for number in range(18)]
    for name, own in (
        ("org/train.er-v1.5", prompts[:6]),
        ("org/walker", prompts[4:9]),
        ("Org/Tester", prompts[10:15]),
        ("org/tester", prompts[10:12]),
    ):
        generator = builder.generator(name, base_model=None, lineage=())
        for prompt in own:
            builder.sample(generator, prompt)
    written = builder.write()
    build(written, BuildOptions(holdout=("name=Org/Tester", "name=org/tester")))
    return written
