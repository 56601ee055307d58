"""DuckDB reads what the files say: nothing of the path that leads to them is data."""

import dataclasses
import re
import shutil
from pathlib import Path

import pytest

import manifests
from captioning.prompt import Prompt
from crawler.catalog import CatalogEntry
from manifests.building import build
from manifests.manifest import ManifestRow, manifest_path
from manifests.options import BuildOptions
from manifests.publishing.card import write_card
from manifests.publishing.layouts import layout_of
from manifests.publishing.planning import plan_shards
from manifests.report import write_report
from manifests.tables.generators import GeneratorRow, generators_path
from manifests.tables.withheld import WithheldRow, withheld_path
from samplers.sample import Sample
from tests.manifests.making import Builder, fill
from tests.manifests.publishing.publishing import counts_of, numbers_of
from tests.scale import scaled
from workspace.errors import UsageError
from workspace.layout import Workspace

RECORDS = (CatalogEntry, Prompt, Sample, ManifestRow, GeneratorRow, WithheldRow)
COLUMNS = sorted({field.name for record in RECORDS for field in dataclasses.fields(record)})

#: What people put into names.
ODD_NAMES = [
    *("*", "**", "?", "[a]", "[!a]", "{a,b}", "a[b", "a]b", "st*r", "%20", "100%", "%s", "$HOME", "~", "-dash"),
    *(" ", "with blank", " at the ends ", "it's", 'a "word"', "`date`", "a;b", "a#b", "a&b", "--option"),
    *("new\nline", "tab\there", "ümlaut", "u\u0308", "日本語", "🎨", "\u202eleft", ".a", "a,b", "s3:", "file:"),
    *("x.parquet", "x.tar", "x.parquet#y", "n" * 255, "é" * 127, "seed=" + "9" * 250),
]
#: Folders above a workspace, many at a time: each column of each record as a partition, as Hive and training frameworks
#: write it, and odd names. `make soak` has each kind alone.
ALONE = {
    "columns as numbers": [f"{name}=1" for name in COLUMNS],
    "columns as texts": [
        *(f"{name}=x" for name in COLUMNS),
        *("guidance_scale=3.5", "seed=7", "split=test", "label=1", "model_name=org%2Fother", "date=2026-01-02"),
        *("seed=0,guidance_scale=3.5", "nsfw_flag=__HIVE_DEFAULT_PARTITION__", "width=", "=1", "a=b=c", "filename=x"),
    ],
    "odd names": ODD_NAMES,
    "backslashes": ["a\\b", "\\"],
}
TOGETHER = {
    "columns and odd names": [
        *(f"{name}={'1x'[number % 2]}" for number, name in enumerate(COLUMNS)),
        *ODD_NAMES,
    ],
    "backslashes": ALONE["backslashes"],
}
FOLDERS = scaled(TOGETHER, ALONE)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return fill(Builder(Workspace.open(tmp_path_factory.mktemp("plain") / "workspace"))).write()


def made_of(workspace: Workspace) -> dict[str, object]:
    """Everything that is made of the records: the manifest with its tables, the page, the plan and the card."""
    build(
        workspace,
        BuildOptions(edition="public", license_allow=("family=openrail,none",), holdout=("name=org/painter",)),
    )
    layout = layout_of("viewer")
    shards = plan_shards(workspace, layout, 10_000)
    return {
        "manifest": manifest_path(workspace).read_bytes(),
        "generators": generators_path(workspace).read_bytes(),
        "withheld": withheld_path(workspace).read_bytes(),
        "page": write_report(workspace).read_bytes(),
        "rows": counts_of(workspace),
        "shards": shards,
        "card": write_card("org/name", workspace, layout, shards, numbers_of(workspace)),
    }


@pytest.fixture(scope="module")
def expected(plain: Workspace) -> dict[str, object]:
    return made_of(plain)


@pytest.mark.parametrize("kind", FOLDERS)
def test_the_names_of_the_folders_above_a_workspace_change_nothing(
    tmp_path: Path, plain: Workspace, expected: dict[str, object], kind: str
) -> None:
    root = tmp_path.joinpath(*FOLDERS[kind], "workspace")
    assert len(str(root)) < 3900, "Linux has paths of 4096 bytes"
    for name in ("catalog.parquet", "prompts", "samples", "images", "outcomes"):
        source = plain.root / name
        root.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, root / name) if source.is_dir() else shutil.copyfile(source, root / name)
    made = made_of(Workspace.open(root))
    assert [name for name in made if made[name] != expected[name]] == []


def test_a_path_that_duckdb_cannot_be_given_is_refused_in_a_line(tmp_path: Path) -> None:
    workspace = fill(Builder(Workspace.open(tmp_path / "st*r" / "a\\b"))).write()
    with pytest.raises(UsageError, match="rename the folder that has a backslash"):
        build(workspace)


def test_one_file_says_how_duckdb_reads_parquet() -> None:
    package = Path(str(manifests.__file__)).parent
    calls = {
        path.name
        for path in package.rglob("*.py")
        if re.search(r"(read|scan)_parquet\(|parquet_scan", path.read_text())
    }
    assert calls == {"database.py"}
