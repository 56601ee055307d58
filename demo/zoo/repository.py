"""One repository of the zoo: how its files are made, and its counts and settings on the Hub."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True)
class Repository:
    """A model repository that can be built anywhere.

    `build` writes all files, README.md included, into an empty folder, with the same bytes each time. `commit_id` is
    set for the stand-in of a repository that the stages pin: it has the pinned revision.
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
    """A block in which torch's random numbers depend on `name` alone; those outside of it do not change."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big"))
        yield


def save(pipeline: Any, folder: Path) -> None:
    """Write the usual files: safetensors in float32."""
    pipeline.save_pretrained(folder)


def generator(
    repo_id: str,
    make: Callable[[], Any],
    card: str | None,
    *,
    save: Callable[[Any, Path], None] = save,
    **listed: Any,
) -> Repository:
    """A repository of the pipeline that `make` returns, with weights from the repository's seed, and a card.

    `listed`: the further fields of `Repository`.
    """

    def build(folder: Path) -> None:
        with seeded(repo_id):
            pipeline = make()
        save(pipeline, folder)
        index = folder / "model_index.json"
        # Without torchvision, the name of the class has a suffix that repositories on the Hub do not have.
        index.write_text(index.read_text().replace("CLIPImageProcessorPil", "CLIPImageProcessor"))
        if card is not None:
            (folder / "README.md").write_text(card, encoding="utf-8")

    return Repository(repo_id, build, **listed)
