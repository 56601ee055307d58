import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub.utils.sha import git_hash

from samplers.weights import pool as pools
from samplers.weights.pool import ContentPool
from samplers.weights.process_folder import ProcessFolder

CONTENT = b"weights"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[ProcessFolder]:
    with ProcessFolder(tmp_path / "weights") as folder:
        yield folder


KEYS = [hashlib.sha256(CONTENT).hexdigest(), f"git-{git_hash(CONTENT)}"]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("links", [True, False])
def test_what_an_earlier_run_left_is_verified_before_it_is_used(
    folder: ProcessFolder, tmp_path: Path, key: str, links: bool
) -> None:
    for number, content in enumerate((b"veights", b"weight", b"", CONTENT)):
        (folder.pool / key).write_bytes(content)
        with ProcessFolder(tmp_path / "weights") as other:
            pool = ContentPool(other)
            pool.links = links
            target = other.path / "file"
            assert pool.put(key, target) == (content == CONTENT), number
            assert target.exists() == (folder.pool / key).exists() == (content == CONTENT)


def test_each_content_is_verified_once_and_only_if_it_was_here_before(
    folder: ProcessFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified: list[str] = []
    verify: Any = pools.hash_of

    def recorded(path: Path, key: str) -> str:
        verified.append(path.name)
        return str(verify(path, key))

    monkeypatch.setattr(pools, "hash_of", recorded)
    old, new = (hashlib.sha256(content).hexdigest() for content in (b"old", b"new"))
    (folder.pool / old).write_bytes(b"old")
    pool = ContentPool(folder)
    (folder.pool / new).write_bytes(b"new")
    for number in range(2):
        for key in (old, new):
            assert pool.put(key, folder.path / "generators" / f"{number}-{key}")
    assert verified == [old]
