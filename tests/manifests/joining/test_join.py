"""The join stays within its memory, however many rows there are."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from manifests.joining.join import open_records, write_manifest
from manifests.splits import SplitAssignment
from samplers.sample import ImageFile, Sample
from tests.manifests.making import entry, sha256
from tests.scale import scaled
from workspace import records
from workspace.errors import CommunityForensicsError
from workspace.layout import Workspace, part_name

GENERATORS = scaled(50, 5_000)
#: The study's 403 images a generator, nearly; five thousand of them are two million rows.
IMAGES = 400
#: What importing and one go of the join take beside DuckDB's own 256 MB, in MiB.
PEAK_MIB = 1024

JOIN = r"""
import re, sys
from pathlib import Path
from manifests.joining.join import open_records, write_manifest
from manifests.splits import SplitAssignment
from workspace.errors import CommunityForensicsError
from workspace.layout import Workspace
workspace = Workspace(Path(sys.argv[1]))
with open_records(workspace, "256MB") as connection:
    joined = write_manifest(connection, workspace.root / "joined.parquet", SplitAssignment({}))
# Not ru_maxrss, which a process inherits from the one that started it.
print(joined.rows, int(re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024)
"""


@pytest.fixture
def sampled(tmp_path: Path) -> Workspace:
    """A workspace of rows alone: nothing in the join looks at a pixel."""
    workspace = Workspace.open(tmp_path / "workspace")
    catalog = [entry(f"org/generator-{number:04d}", number + 1) for number in range(GENERATORS)]
    records.write(workspace.catalog, type(catalog[0]), catalog)
    rows = [
        Sample(
            model_name="", revision="", index=index, round=1, status="ok", image=ImageFile(path=f"{index}.png"),
            seed=index, batch_size=8, call_size=8, device="cpu", dtype="float32", scheduler="DDIMScheduler",
            libraries="torch=2", image_name=f"{index:08d}.png", sha256="", format="PNG", mode="RGB", width=512,
            height=512, nsfw_flag=False, nsfw_score=-0.1,
        )
        for index in range(IMAGES)
    ]  # fmt: skip
    table = records.to_table(Sample, rows)
    for one in catalog:
        digests = [sha256(f"{one.model_name} {index // 2 if index < 2 else index}".encode()) for index in range(IMAGES)]
        for name, values in (
            ("model_name", [one.model_name] * IMAGES),
            ("revision", [one.revision] * IMAGES),
            ("sha256", digests),
        ):
            place = table.schema.get_field_index(name)
            table = table.set_column(place, table.schema.field(place), pa.array(values))
        records.write_table(workspace.samples_of(one.model_name) / part_name(0), table)
    return workspace


@pytest.mark.timeout(scaled(300, 3600))
def test_every_row_is_joined_in_bounded_memory(sampled: Workspace) -> None:
    ended = subprocess.run([sys.executable, "-c", JOIN, str(sampled.root)], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    rows, peak = map(int, ended.stdout.split())
    # The first two images of each generator are the same, and count once.
    assert rows == GENERATORS * (IMAGES - 1)
    assert peak < PEAK_MIB
    names = pq.read_table(sampled.root / "joined.parquet", columns=["model_name"]).column(0)
    assert len(names.unique()) == GENERATORS


def test_too_little_memory_is_reported_in_one_line(sampled: Workspace) -> None:
    with pytest.raises(CommunityForensicsError, match="--memory 4GB"), open_records(sampled, "2MB") as connection:
        write_manifest(connection, sampled.root / "joined.parquet", SplitAssignment({}))
