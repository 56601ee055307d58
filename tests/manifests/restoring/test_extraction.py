import hashlib
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from manifests.restoring.extraction import extract_scattered
from workspace.locator import LocatorReader

CONTENTS = [f"image {number}".encode() * 20 for number in range(12)]


def table(path: Path, contents: list[bytes]) -> list[str]:
    pq.write_table(pa.table({"image": contents}), path)
    return [f"{path}#row={row:09d}" for row in range(len(contents))]


def tar(path: Path, contents: list[bytes]) -> list[str]:
    with tarfile.open(path, "w") as archive:
        for number, content in enumerate(contents):
            (path.parent / f"{number}.png").write_bytes(content)
            archive.add(path.parent / f"{number}.png", f"{number}.png")
    return [f"{path}#{number}.png" for number in range(len(contents))]


def files(path: Path, contents: list[bytes]) -> list[str]:
    path.mkdir()
    for number, content in enumerate(contents):
        (path / f"{number}.png").write_bytes(content)
    return [f"{path}/{number}.png" for number in range(len(contents))]


@pytest.mark.parametrize(
    ("kind", "order", "copied"),
    [
        (table, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], []),
        (table, [6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5], []),
        (table, [0, 2, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11], [0, 1, 2, 3, 4, 5]),
        (table, [0, 1, 2, 6, 3, 4, 5, 7, 8, 9, 10, 11], range(12)),
        (tar, [5, 4, 3, 2, 1, 0, 6, 7, 8, 9, 10, 11], []),
        (tar, [0, 1, 2, 6, 3, 4, 5], [0, 1, 2, 3, 4, 5]),
        (files, [0, 6, 1, 7, 2, 8, 5, 11, 4], []),
    ],
)
def test_only_what_would_be_opened_again_or_read_backwards_is_copied(
    tmp_path: Path, kind: object, order: list[int], copied: list[int]
) -> None:
    assert callable(kind)
    lie = kind(tmp_path / "a.parquet" if kind is table else tmp_path / "a.tar", CONTENTS[:6])
    lie += kind(tmp_path / "b.parquet" if kind is table else tmp_path / "b.tar", CONTENTS[6:])
    places = {hashlib.sha256(CONTENTS[number]).hexdigest(): lie[number] for number in order}
    (tmp_path / "extracted").mkdir()
    heard: list[str] = []
    after = extract_scattered(places, tmp_path / "extracted", lambda _more, place: heard.append(place))
    assert heard == [lie[number] for number in copied]
    assert list(after) == list(places)
    reader = LocatorReader()
    assert all(hashlib.sha256(reader.read(place)).hexdigest() == sha256 for sha256, place in after.items())
