"""Training images from Parquet shards: a row group is read once, in its order, and damage is named by image."""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from detectors.data.index import Index
from detectors.data.sources import published
from detectors.data.sources.published import PublishedSource
from detectors.training import reading
from detectors.training.draws import Draws
from detectors.training.preparing import Wanted
from detectors.training.reading import ReadAhead, consecutive
from workspace.errors import HubError

GROUP, SHARDS, EACH = 8, 3, 40


def content(number):
    return f"image {number} ".encode() * 40


def write(folder: Path, group: int = GROUP) -> Path:
    """Shards of two generators and real images, in row groups of so many."""
    folder.mkdir(exist_ok=True)
    for shard in range(SHARDS):
        numbers = range(shard * EACH, (shard + 1) * EACH)
        rows = {
            "image": [{"bytes": content(number), "path": None} for number in numbers],
            "sha256": [hashlib.sha256(content(number)).hexdigest() for number in numbers],
            "label": [int(number < 70) for number in numbers],
            "generator": [f"org/{number % 2}" if number < 70 else None for number in numbers],
            "prompt": [str(number) for number in numbers],
        }
        table = pa.table({**rows, "model_name": rows["generator"]})
        pq.write_table(table, folder / f"{shard}.parquet", row_group_size=group, compression="none")
    return folder


class Source(PublishedSource):
    """Which images are read, in which order."""

    def read(self, locator: str) -> bytes:
        self.asked.append(locator)
        return super().read(locator)


def opened(folder: Path) -> Index:
    source = Source("shards", str(folder), sorted(path.name for path in folder.iterdir()))
    source.asked = []
    return Index.of([source])


def asked(index):
    return index.sources["shards"].asked


def place(locator):
    """The number of an image by its locator."""
    shard, row = locator.split(".parquet#row=")
    return int(shard) * EACH + int(row.partition(",")[0])


def images(draws, batches, batch):
    for first in range(0, batches * batch, batch):
        rows, _, _ = draws.batch(first, batch)
        for row, together in zip(rows.tolist(), draws.together(first, batch), strict=True):
            yield Wanted(row, "none", together=together)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return opened(write(tmp_path_factory.mktemp("shards") / "data"))


@pytest.fixture
def index(whole):
    asked(whole).clear()
    return whole


def test_row_groups_are_read_once_and_every_image_is_given_in_the_order_of_the_draws(index):
    draws = Draws(index, np.arange(len(index)), 1, "images", 20, 20)
    wanted = list(images(draws, 5, 20))  # 50 of each label: all 50 real ones
    reader = ReadAhead(index)
    found = [(one.row, take()) for one, take in reader.each(wanted)]
    reader.close()
    assert found == [(one.row, content(one.row)) for one in wanted]
    groups = [(place(one) // EACH, place(one) % EACH // GROUP, place(one) < 70) for one in asked(index)]
    changes = [group for group, before in zip(groups, [None, *groups], strict=False) if group != before]
    assert len(changes) == len(set(changes))
    assert len(changes) < len(groups) / 4
    for group in changes:
        rows = [place(one) for one, other in zip(asked(index), groups, strict=True) if other == group]
        assert rows == sorted(rows)


def test_images_in_their_order_are_read_group_by_group(index):
    rows = np.array([3, 4, 5, 17, 18, 70, 119])
    reader = ReadAhead(index)
    wanted = [
        Wanted(row, "none", together=one) for row, one in zip(rows.tolist(), consecutive(index, rows), strict=True)
    ]
    assert [take() for _, take in reader.each(wanted)] == [content(row) for row in rows]
    reader.close()
    assert [place(one) for one in asked(index)] == rows.tolist()


def test_damage_costs_the_images_that_it_is_in(tmp_path):
    """After the index was read a shard lost row groups, one was cut, and one removed."""
    folder = write(tmp_path / "data")
    index = opened(folder)
    pq.write_table(pq.read_table(folder / "0.parquet").slice(0, 10), folder / "0.parquet", row_group_size=3)
    shard = (folder / "1.parquet").read_bytes()
    (folder / "1.parquet").write_bytes(shard[: len(shard) // 2])
    (folder / "2.parquet").unlink()
    draws = Draws(index, np.arange(len(index)), 1, "images", 4, 4)
    reader, failed = ReadAhead(index), {}
    for one, take in reader.each(images(draws, 60, 4)):
        try:
            assert take() == content(one.row)
        except OSError as error:
            failed[one.row] = error.strerror
    reader.close()
    assert set(failed) == set(range(10, 3 * EACH))
    assert failed[10] == "the file has fewer rows"
    assert failed[EACH].startswith("not a whole Parquet file")
    assert failed[2 * EACH] == "No such file or directory"


def test_a_huge_row_group_is_read_in_parts_and_said(index, monkeypatch):
    monkeypatch.setattr(published, "GROUP_ROWS", 5)
    source = index.sources["shards"]
    groups = np.concatenate([batch.column("group").to_numpy() for batch in source.batches()])
    assert np.bincount(groups).tolist() == [5, 3] * (len(index) // GROUP)
    assert any("row groups of up to 8 rows" in note for note in source.notes())


def test_what_does_not_fit_into_memory_is_read_when_it_is_taken(index, monkeypatch, capsys):
    monkeypatch.setattr(reading, "MOST_BYTES", 2_000)
    draws = Draws(index, np.arange(len(index)), 1, "images", 20, 20)
    reader = ReadAhead(index)
    assert all(take() == content(one.row) for one, take in reader.each(images(draws, 5, 20)))
    reader.close()
    assert reader._bytes < 2_000 + len(content(100))
    assert capsys.readouterr().err.count("the others are read one by one") == 1


def test_a_hub_that_does_not_answer_ends_the_run_and_is_not_asked_for_each_image(index, monkeypatch):
    calls = []

    def away(locator):
        calls.append(locator)
        raise HubError("away")

    monkeypatch.setattr(index.sources["shards"], "read", away)
    rows = np.arange(8)
    reader = ReadAhead(index)
    wanted = [
        Wanted(row, "none", together=one) for row, one in zip(rows.tolist(), consecutive(index, rows), strict=True)
    ]
    for _, take in reader.each(wanted):
        with pytest.raises(HubError):
            take()
    reader.close()
    assert len(calls) == 1
