"""What an import says beside its account; images are examined in this process, without the safety checker."""

from pathlib import Path

import pytest

from samplers.importing import stage
from samplers.importing.command import described
from samplers.importing.options import ImportOptions
from samplers.weights.store import WeightStore
from tests.samplers.foreign.making import encoded, picture
from tests.samplers.provider.examining import CHECKER, HereExaminer, no_files
from workspace.errors import UsageError
from workspace.layout import Workspace

RECIPES = """
["benchmark/one"]
kind = "import"
architecture = "GAN"
["benchmark/one".import]
folder = "one"
["benchmark/two"]
kind = "import"
architecture = "GAN"
["benchmark/two".import]
folder = "two"
real_source = "coco"
"""


def test_a_part_of_a_benchmark_is_imported_and_what_is_missing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "Examiner", HereExaminer)
    monkeypatch.setattr(WeightStore, "fetch_checker", no_files)
    data = tmp_path / "data"
    (data / "two").mkdir(parents=True)
    for number in range(8):
        (data / "two" / f"{number}.png").write_bytes(encoded(picture(number)) if number < 2 else b"no image")
    (tmp_path / "benchmark.toml").write_text(RECIPES)
    what = described(str(tmp_path / "benchmark.toml"), str(data), {}, {})
    workspace = Workspace.open(tmp_path / "workspace")
    with pytest.raises(UsageError, match=r"--report nowhere/r\.csv: there is no such folder"):
        stage.import_images(workspace, what, ImportOptions(report=Path("nowhere/r.csv")))
    account = stage.import_images(workspace, what, ImportOptions(device="cpu", safety_checker=CHECKER))
    lines = list(account.lines())
    assert lines[0] == "benchmark/two: 8 files: 2 kept, 6 broken"
    assert "  and 1 more that are broken: --report FILE.csv names all" in lines
    assert lines[-2:] == [
        f"benchmark/one: {data} has no image in a folder 'one'",
        "no image is tied to one of coco, of which this workspace has no captions: `cf-caption` comes before",
    ]
