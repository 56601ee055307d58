"""One repository of the zoo: how its files are made, and what the Hub says about it."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True)
class Repository:
    """A model repository that can be built anywhere.

    `build` writes every file, README.md included, into an empty folder and gives the same bytes each time.
    `commit_id` is set where the real run pins a revision: the stand-in is served at that one.
    """

    repo_id: str
    build: Callable[[Path], None]
    downloads: int
    likes: int = 0
    gated: Literal[False, "auto", "manual"] = False
    disabled: bool = False
    created_at: str = "2024-03-01T09:00:00.000Z"
    commit_id: str | None = None


@contextmanager
def seeded(name: str) -> Iterator[None]:
    """Torch's random numbers follow from `name` alone inside this block; the caller's own are left as they were."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big"))
        yield


def save(pipeline: Any, folder: Path) -> None:
    """The usual files: safetensors in float32."""
    pipeline.save_pretrained(folder)


def generator(
    repo_id: str,
    make: Callable[[], Any],
    card: str | None,
    *,
    save: Callable[[Any, Path], None] = save,
    **listed: Any,
) -> Repository:
    """A repository of the pipeline that `make` returns, its weights from a seed of its own, and its card.

    `listed` are the further fields of `Repository`.
    """

    def build(folder: Path) -> None:
        with seeded(repo_id):
            pipeline = make()
        save(pipeline, folder)
        index = folder / "model_index.json"
        # Without torchvision, the class has a suffix that no repository on the Hub knows.
        index.write_text(index.read_text().replace("CLIPImageProcessorPil", "CLIPImageProcessor"))
        if card is not None:
            (folder / "README.md").write_text(card, encoding="utf-8")

    return Repository(repo_id, build, **listed)
