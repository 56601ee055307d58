"""Random images of a manifest are made again before it counts."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from localhub.process import HubProcess
from localhub.store import Store
from manifests.manifest import manifest_path
from manifests.options import BuildOptions, parse_verify
from manifests.reproduction import check
from manifests.reproduction.check import chosen_rows
from manifests.reproduction.record import read_reproduction, reproduction_path
from manifests.stage import build_manifest
from samplers.options import SampleOptions
from samplers.running.supervisor import sample
from tests.manifests.commands import build
from tests.manifests.making import Builder
from tests.samplers.conftest import PIXELS, hub, store  # noqa: F401
from tests.samplers.inputs import entry_of, write_catalog
from tests.samplers.processes import start_command
from workspace.errors import CommunityForensicsError, UsageError
from workspace.layout import Workspace

#: Stands for the command: writes results for the rows of its table, as the variable RESULT says.
STAND_IN = """
import csv, json, os, sys
from pathlib import Path
into = Path(sys.argv[sys.argv.index("--into") + 1])
rows = list(csv.DictReader(open(sys.argv[sys.argv.index("--remake") + 1])))
into.mkdir()
Path(os.environ["SEEN"]).write_text(json.dumps([rows, os.environ.get("HF_ENDPOINT"), os.environ.get("HF_TOKEN")]))
result = os.environ["RESULT"]
made = [
    {"generator": row["model_name"], "model_name": row["model_name"], "revision": row["revision"],
     "index": int(row["index"]), "given": "", "result": result if number == 0 else "equal",
     "differences": "device was NVIDIA H200, now cpu" if result == "differs" and number == 0 else "", "detail": None,
     "device": "cpu", "libraries": "torch=2.13.0"}
    for number, row in enumerate(rows)
]
(into / "results.json").write_text(json.dumps({"finished": result != "interrupted", "rows": made}))
sys.exit(result != "equal")
"""


@pytest.fixture
def seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the stand-in was given."""
    monkeypatch.setattr(check, "_COMMAND", (sys.executable, "-c", STAND_IN))
    monkeypatch.setenv("SEEN", str(tmp_path / "seen"))
    monkeypatch.setenv("RESULT", "equal")
    return tmp_path / "seen"


def _forked(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run the command in a process that need not import what the fork server has."""
    place = len(check._COMMAND)
    assert tuple(command[:place]) == check._COMMAND
    process = start_command(command[place:], environment)
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def test_the_command_in_a_new_interpreter_is_cf_sample(capfd: pytest.CaptureFixture[str]) -> None:
    # Without a table it says what it needs; the others here show that a process is started with such words.
    assert check._run([*check._COMMAND, "--remake", "rows.csv"], check._environment(BuildOptions())) == 2
    assert "--into" in capfd.readouterr().err


@pytest.mark.timeout(300)
def test_a_manifest_says_that_its_images_were_made_again_by_the_command_in_another_process(
    store: Store,  # noqa: F811
    hub: HubProcess,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workspace = Workspace.open(tmp_path / "workspace")
    write_catalog(workspace, [entry_of(store, PIXELS)])
    monkeypatch.setenv("CF_WEIGHTS_DIR", str(tmp_path / "weights"))
    sample(
        workspace,
        SampleOptions(images=3, batch_size=2, endpoint=hub.endpoint, weights_dir=tmp_path / "weights", device="cpu"),
    )
    monkeypatch.setattr(check, "_run", _forked)
    built, page = build_manifest(workspace, BuildOptions(reproduce=2, reproduce_seed=5, endpoint=hub.endpoint))
    found = read_reproduction(workspace)
    assert found is not None
    assert built.kept == 3
    revision = entry_of(store, PIXELS).revision
    assert len(set(found.rows)) == 2
    assert all(row.startswith(f"{PIXELS}@{revision}#") for row in found.rows)
    text = f"2 of 2 random images (seed 5) made again bit-equal on {found.made_with[0]}"
    assert found.text() == text
    assert text in page.read_text()
    assert found.made_with[0].startswith("cpu, diffusers=")


def test_the_rows_are_given_as_a_table_and_what_was_found_is_printed_and_kept_with_the_manifest(
    filled: Builder, seen: Path
) -> None:
    workspace = filled.write()
    first = build(workspace.root, "--verify", "full", "--verify", "reproduce=4@7")
    assert first.returncode == 0, first.stderr
    line = "4 of 4 random images (seed 7) made again bit-equal on cpu, torch=2.13.0"
    assert line in first.stdout.splitlines()
    rows, *_ = json.loads(seen.read_text())
    chosen = chosen_rows(manifest_path(workspace), 4, 7)
    assert [(row["model_name"], row["index"]) for row in rows] == [
        (row["model_name"], str(row["index"])) for row in chosen
    ]
    assert {"sha256", "call_size", "memory", "device", "libraries"} <= rows[0].keys()
    # The same manifest again: what was found is still true. Another one: it is gone.
    again = build(workspace.root)
    assert line in again.stdout.splitlines()
    assert reproduction_path(workspace).exists()
    other = build(workspace.root, "--holdout", "name=org/painter", "--kin", "ignore")
    assert (other.returncode, line in other.stdout) == (0, False), other.stderr
    assert not reproduction_path(workspace).exists()


def test_an_image_that_is_not_equal_fails_the_build_and_the_former_manifest_stays(
    ready: Workspace, seen: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = ready
    before = {path: path.read_bytes() for path in workspace.manifest.iterdir()}
    monkeypatch.setenv("RESULT", "differs")
    failed = build(workspace.root, "--verify", "reproduce=3", "--real-per-generated", "0")
    assert failed.returncode == 1
    assert "no manifest was written: 1 check failed" in failed.stderr
    assert "1 generated image is not made again equal: org/" in failed.stderr
    assert "differs (device was NVIDIA H200, now cpu)" in failed.stderr
    monkeypatch.setenv("RESULT", "interrupted")
    with pytest.raises(CommunityForensicsError, match=r"could not make its images .* exit code 1"):
        build_manifest(workspace, BuildOptions(reproduce=3))
    assert {path: path.read_bytes() for path in workspace.manifest.iterdir()} == before


def test_the_command_asks_the_hub_of_the_options_with_their_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://localhost:2")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    own = check._environment(BuildOptions(endpoint="http://localhost:1", token="hf_own"))
    assert (own["HF_ENDPOINT"], own["HF_TOKEN"]) == ("http://localhost:1", "hf_own")
    inherited = check._environment(BuildOptions())
    assert (inherited["HF_ENDPOINT"], "HF_TOKEN" in inherited) == ("http://localhost:2", False)


def test_the_choice_depends_on_the_seed_and_the_rows_and_on_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"model_name": "org/name", "revision": "a" * 40, "lineage": ["x"], "seed": 1, "kind": "checkpoint"}
    known |= {"task": "unconditional", "prompt": None, "base_model": None}
    rows = [{**known, "label": label, "index": index, "origin": "sampled"} for label in (1, 0) for index in range(100)]
    path = tmp_path / "manifest.parquet"

    def chosen(count: int, seed: int) -> list[int]:
        found = chosen_rows(path, count, seed)
        assert all(row["label"] == 1 and "lineage" not in row for row in found)
        return [row["index"] for row in found]

    pq.write_table(pa.Table.from_pylist(rows), path)
    first = chosen(10, 0)
    assert first == sorted(first)
    assert len(set(first)) == 10
    assert chosen(10, 0) == first != chosen(10, 1)
    assert set(first) < set(chosen(20, 0))
    assert chosen(1000, 0) == [*range(100)]
    monkeypatch.setattr(check, "_AT_A_TIME", 7)
    assert chosen(10, 0) == first
    pq.write_table(pa.Table.from_pylist(rows[100:]), path)
    with pytest.raises(UsageError, match="the manifest has no image that was sampled"):
        chosen(10, 0)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], {}),
        (["full"], {"verify": "full"}),
        (["reproduce=50"], {"reproduce": 50, "reproduce_seed": 0}),
        (["reproduce=50@12", "quick"], {"reproduce": 50, "reproduce_seed": 12, "verify": "quick"}),
    ],
)
def test_what_is_verified_is_read_from_texts(texts: list[str], expected: dict[str, object]) -> None:
    assert parse_verify(texts) == expected


@pytest.mark.parametrize("text", ["some", "reproduce", "reproduce=0", "reproduce=-1", "reproduce=5@", "reproduce=many"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"is not one of quick, full, reproduce=NUMBER\[@SEED\]"):
        parse_verify([text])


def test_restoring_makes_no_image_again(tmp_path: Path) -> None:
    ended = build(tmp_path, "--restore", str(tmp_path), "--verify", "reproduce=1")
    assert ended.returncode == 2
    assert "leave out --verify reproduce" in ended.stderr
