"""Images that are made again are those of the workspace, whoever names them and in whatever order."""

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from localhub.process import HubProcess
from samplers.cli import main
from samplers.options import RemakeOptions
from samplers.remaking.remake import remake
from samplers.remaking.results import RemadeRow
from samplers.sample import Sample, sample_parts
from tests.manifests.commands import run
from tests.samplers.conftest import BASE, CLASSES, FLAGGED, INVERSION, LORA, NAN, PIXELS
from upkeep.options import RemoveOptions
from upkeep.removal import remove
from workspace import records
from workspace.errors import UsageError
from workspace.layout import Workspace


def _rows(workspace: Workspace) -> list[dict[str, Any]]:
    """All rows, kept and rejected, in the columns that are published, and their status."""
    samples = [row for part in sample_parts(workspace) for row in records.read(part, Sample)]
    return [
        {"label": 1, **{name: value for name, value in dataclasses.asdict(row).items() if name != "image"}}
        for row in samples
    ]


def _state(folder: Path) -> dict[str, tuple[int, str]]:
    return {
        str(path): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "")
        for path in sorted([folder, *folder.rglob("*")])
    }


def test_rows_of_every_kind_are_made_again_equal_from_a_table_of_pandas_and_the_workspace_is_not_touched(
    sampled: Workspace, options: RemakeOptions, tmp_path: Path
) -> None:
    frame = pd.DataFrame(_rows(sampled))
    real = {"label": 0, "sha256": "0" * 64, "model_name": None, "index": None}
    frame = pd.concat([frame, pd.DataFrame([real])]).sample(frac=1, random_state=3)
    frame.to_csv(tmp_path / "published.csv", index=False)
    before = _state(sampled.root)

    remade = remake(sampled, pd.read_csv(tmp_path / "published.csv"), tmp_path / "again", options)

    assert [row for row in remade.rows if row.result != "equal"] == []
    assert (len(remade.rows), remade.equal, remade.real) == (len(frame) - 1, len(frame) - 1, 1)
    ends = {(row.generator, row.status) for row in remade.rows}
    kept = {(name, "ok") for name in (BASE, PIXELS, CLASSES, FLAGGED, LORA, INVERSION)}
    assert ends == {*kept, (FLAGGED, "nsfw"), (NAN, "nan")}
    assert _state(sampled.root) == before
    # Every image that was kept, and no other file: no neighbour of a batch, and nothing that was rejected.
    images = {path.relative_to(tmp_path / "again").as_posix(): path for path in (tmp_path / "again").rglob("*.png")}
    assert images.keys() == {row.path for row in remade.rows if row.status == "ok"}
    original = {path.relative_to(sampled.images).as_posix(): path for path in sampled.images.rglob("*.png")}
    assert {name: path.read_bytes() for name, path in images.items()} == {
        name: path.read_bytes() for name, path in original.items()
    }
    assert {path.name for path in (tmp_path / "again").iterdir() if path.is_file()} == {"results.csv", "results.json"}
    table = pd.read_csv(tmp_path / "again" / "results.csv")
    assert list(table.columns) == [field.name for field in dataclasses.fields(RemadeRow)]
    assert table["result"].value_counts().to_dict() == {"equal": len(frame) - 1}
    assert any("2 rows" not in line and "rejected again for the same reason" in line for line in remade.lines())


def test_what_differs_is_named_in_each_row_and_what_cannot_be_made_says_why(
    sampled: Workspace, options: RemakeOptions, tmp_path: Path
) -> None:
    row, other, *_ = [row for row in _rows(sampled) if row["model_name"] == PIXELS]
    flagged = next(row for row in _rows(sampled) if row["model_name"] == FLAGGED and row["status"] == "ok")
    named = [
        row | {"sha256": "1" * 64, "device": "NVIDIA H200", "libraries": "torch=1.0", "dtype": "float16"},
        row | {"sha256": "1" * 64},
        row | {"call_size": 1, "sha256": "1" * 64},
        row | {"seed": 5},
        row | {"batch_size": 4},
        row | {"revision": "f" * 40},
        row | {"index": 99},
        row | {"model_name": "nobody/nothing"},
        flagged | {"status": "nsfw", "sha256": None},
        other,
        f"{PIXELS}#7",
        # As the table of an export has it.
        {"generator": PIXELS, "source_sha256": other["sha256"], "sha256": "2" * 64, "label": 1},
        row | {"cpu_threads": 2, "cpu_instructions": "NEON", "sha256": "1" * 64},
        row | {"cpu_threads": 10**9},
        row | {"call_size": 0},
        row | {"memory": "much"},
    ]
    remade = remake(sampled, named, tmp_path / "again", options)
    found = [(row.result, row.differences, row.detail or "") for row in remade.rows]
    assert found[0][0] == "differs"
    assert "device was NVIDIA H200, now cpu; libraries was torch=1.0, now diffusers=" in found[0][1]
    assert "dtype was float16, now float32" in found[0][1]
    assert found[1] == ("differs", found[1][1], "it is the image of the workspace, and the table names another one")
    assert found[2][0] == "differs"
    assert "call_size" not in found[2][1], "it is made in a call of its own, as its row says"
    for result, words in (
        (found[3], f"its seed is 5, and by this workspace's recipe it is {row['seed']}"),
        (found[4], "its batch_size is 4, and by this workspace's recipe it is 3"),
        (found[5], f"the catalogue has {PIXELS} at {row['revision'][:12]}, not at ffffffffffff"),
        (found[6], "has no sample 99: its last one is 15"),
        (found[7], "the catalogue has no generator nobody/nothing"),
    ):
        assert result[0] == "not-made"
        assert words in result[2]
    # A picture that was flagged once is not written, even where it is not flagged any more.
    assert found[8] == (
        "differs",
        "status was nsfw, now ok",
        "it was flagged, and is not any more: the image is not written",
    )
    assert remade.rows[8].path is None
    assert found[9] == ("equal", "", "")
    assert found[10] == ("not-compared", "", "neither the workspace nor a table has its sha256")
    assert found[11] == ("equal", "", "")
    assert remade.rows[11].index == 1
    assert found[12][0] == "differs"
    assert "cpu_threads" not in found[12][1], "it is made by two threads, as its row says"
    assert "cpu_instructions was NEON, now " in found[12][1]
    impossible = ("its cpu_threads is 1000000000", "its call_size is 0", "its memory is 'much'")
    for (result, _, detail), words in zip(found[13:], impossible, strict=True):
        assert result == "not-made"
        assert words in detail
    written = json.loads((tmp_path / "again" / "results.json").read_text())
    assert written["finished"] is True
    assert written["results"] == {"differs": 5, "equal": 2, "not-compared": 1, "not-made": 8}
    for one in remade.rows:
        if one.path is not None:
            assert hashlib.sha256((tmp_path / "again" / one.path).read_bytes()).hexdigest() == one.sha256


def test_the_command_says_what_is_equal_and_fails_where_not_all_is(
    sampled: Workspace, options: RemakeOptions, hub: HubProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.endpoint)
    arguments = ["--workspace", str(sampled.root), "--weights-dir", str(options.weights_dir)]
    image = next(
        path for path in sorted(sampled.images.rglob("*.png")) if path.parent.name == CLASSES.replace("/", "--")
    )
    copy = tmp_path / "a copy without its name.png"
    copy.write_bytes(image.read_bytes())
    table = tmp_path / "rows.csv"
    table.write_text(f"model_name,index,sha256\n{CLASSES},0,{'1' * 64}\n")
    rows = [word for name in (image, copy, table) for word in ("--remake", str(name))]
    ended = run(main, *arguments, *rows, "--into", str(tmp_path / "again"))
    assert ended.returncode == 1
    first, second, last = ended.stdout.splitlines()
    assert first.startswith("2 of 3 rows made again equal on cpu, diffusers=")
    assert second.startswith(f"{CLASSES}#0 differs: sha256 was 111")
    assert last == f"results: {tmp_path / 'again' / 'results.csv'}"
    assert "error: not all rows are equal (1 differs)" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--remake", f"{PIXELS}#0"], "--remake ROW needs --into DIR"),
        (["--into", "again"], "--into is for --remake ROW"),
        (["--remake", f"{PIXELS}#0", "--into", "again", "--images", "5"], "leave out --images"),
        (["--remake", f"{PIXELS}#0", "--into", "again", "--only", PIXELS], "leave out --only"),
        (["--remake", f"{PIXELS}#0", "--into", "again", "--json"], "leave out --json"),
        (
            ["--remake", "nobody/nothing#0", "--into", "again"],
            "--remake nobody/nothing#0: the catalogue has no generator",
        ),
        (
            ["--remake", f"{PIXELS}#0", "--into", "WORKSPACE/images"],
            "is in the workspace, which a remake does not change",
        ),
        (["--remake", f"{PIXELS}#0", "--into", "."], "holds other files"),
        (
            ["--remake", f"{PIXELS}#0", "--into", "again", "--workspace", "nowhere"],
            "--workspace nowhere does not exist",
        ),
        (["--remake", "0" * 64, "--into", "again"], "no row of samples/ has this sha256"),
    ],
)
def test_misuse_is_one_line_and_exit_code_2(
    sampled: Workspace, arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a file").touch()
    before = _state(sampled.root)
    given = [text.replace("WORKSPACE", str(sampled.root)) for text in arguments]
    ended = run(main, "--workspace", str(sampled.root), *given)
    assert ended.returncode == 2
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("error")]
    assert words in line
    assert _state(sampled.root) == before


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("catalog.parquet", "images are made again in the workspace that sampled them"),
        ("recipe.toml", "has no table [sample]"),
        ("prompts", "does not hold the prompts that the images were sampled with"),
    ],
)
def test_a_workspace_that_lacks_what_images_are_made_from_says_what(
    sampled: Workspace, missing: str, words: str, tmp_path: Path
) -> None:
    copy = Workspace(shutil.copytree(sampled.root, tmp_path / "copy", ignore=shutil.ignore_patterns("images", missing)))
    with pytest.raises(UsageError, match=words.replace("[", r"\[")):
        remake(copy, f"{PIXELS}#0", tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_a_removed_generator_is_not_made_again(sampled: Workspace, tmp_path: Path) -> None:
    copy = Workspace(shutil.copytree(sampled.root, tmp_path / "copy"))
    remove(copy, [PIXELS], RemoveOptions(reason="other"))
    with pytest.raises(UsageError, match=rf"--remake {PIXELS}#0: {PIXELS} was removed from this workspace \(other, "):
        remake(copy, f"{PIXELS}#0", tmp_path / "again")
