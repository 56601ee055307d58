"""Tar archives and Parquet files of images, as img2dataset and `datasets` write them."""

import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def write_tar(path: Path, members: Mapping[str, bytes] | Iterable[tuple[str, bytes]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in members.items() if isinstance(members, Mapping) else members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
            tar.members.clear()  # type: ignore[attr-defined]
    return path


def sample(key: str, image: bytes, caption: str | None = None, noted: str | None = None) -> list[tuple[str, bytes]]:
    """The members of one sample."""
    members = [
        (f"{key}.jpg", image),
        (f"{key}.json", json.dumps({"key": key} | ({"caption": noted} if noted else {})).encode()),
    ]
    return members + ([(f"{key}.txt", caption.encode())] if caption is not None else [])


def write_parquet(path: Path, columns: Mapping[str, list[Any]], group: int = 100) -> Path:
    """A column `image` is written as `datasets` writes images, a struct of bytes and path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(
        {
            name: pa.array([{"bytes": content, "path": None} for content in values]) if name == "image" else values
            for name, values in columns.items()
        }
    )
    pq.write_table(table, path, row_group_size=group)
    return path
