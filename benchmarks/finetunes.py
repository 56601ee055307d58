"""A small campaign: fine-tunes of one Stable Diffusion that share all files but their UNet, on an embedded Hub.

Each repository has its weights twice, as safetensors and as pickles, as most on the Hub have. The UNet is by far the
largest file; the number of steps sets the time of sampling.
"""

from pathlib import Path
from typing import Any

from captioning.prompt import Prompt
from demo.zoo import safety
from demo.zoo.building import put, quiet_libraries
from demo.zoo.repository import Repository, generator, seeded
from demo.zoo.stable_diffusion import pipeline, unet
from localhub.store import Store
from workspace import records
from workspace.layout import Workspace, part_name

#: Number of fine-tunes; of each the number of images, the batch size, and the denoising steps.
GENERATORS, IMAGES, BATCH, STEPS = 24, 72, 8, 50
_CARD = "---\nlicense: mit\n---\n# A fine-tune\n\n```python\npipe(prompt, num_inference_steps={steps})\n```\n"
_WORDS = ("cat", "coffee cup", "rocket", "horse", "harbour", "flower", "astronaut", "owl")


def build(hub: Path) -> None:
    """Put the fine-tunes and the safety checker on the Hub in the directory `hub`."""
    store = Store(hub)
    with quiet_libraries():
        for repository in (*safety.repositories(), *(_finetune(number) for number in range(GENERATORS))):
            put(store, repository)


def write_prompts(workspace: Workspace) -> None:
    """Write enough prompts for all images of a generator."""
    prompts = [
        Prompt(
            prompt_id=f"words/{number}",
            prompt=f"a photograph of a {_WORDS[number % len(_WORDS)]}, number {number}",
            real_source="words",
            real_title="words",
            real_id=str(number),
            real_path=f"/words/{number}.jpg",
            real_sha256="0" * 64,
            real_format="JPEG",
            real_width=64,
            real_height=64,
            caption_origin="dataset",
        )
        for number in range(2 * IMAGES)
    ]
    records.write(workspace.prompts_of("words") / part_name(0), Prompt, prompts)


def name_of(number: int) -> str:
    """The repository of a fine-tune, by its rank from 0."""
    return f"bench/finetune-{number:02}"


def _finetune(number: int) -> Repository:
    name = name_of(number)

    def make() -> Any:
        with seeded(name):
            return pipeline(unet(block_out_channels=(48, 96)))

    def save(made: Any, folder: Path) -> None:
        made.save_pretrained(folder)
        made.save_pretrained(folder, safe_serialization=False)

    return generator(name, make, _CARD.format(steps=STEPS), save=save, downloads=1000 - number)
