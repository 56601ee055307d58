"""A mixed tree, imported: each file accounted for, bytes as they were, the same after a kill."""

import csv
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from crawler.catalog import read_catalog
from localhub.process import HubProcess
from manifests.building import build
from manifests.manifest import ManifestRow, manifest_path
from manifests.options import BuildOptions
from samplers.importing.account import Account
from samplers.sample import Sample, read_samples
from tests.samplers.forked_examiner import import_with_forked_examiner
from tests.samplers.importing.conftest import COUNT, NAME
from tests.samplers.importing.corpus import Corpus
from tests.samplers.inputs import files_of
from tests.samplers.processes import start_command
from tests.scale import scaled
from workspace import records
from workspace.layout import Workspace

#: Two thousand files take minutes.
pytestmark = pytest.mark.timeout(scaled(300, soak=3_600))


def _rows(workspace: Workspace) -> dict[str, Sample]:
    return {str(row.original_name): row for row in read_samples(workspace, NAME)}


def test_every_file_has_a_row_that_says_what_became_of_it(imported: tuple[Workspace, Account], corpus: Corpus) -> None:
    workspace, account = imported
    rows = _rows(workspace)
    assert rows.keys() == corpus.contents.keys()
    assert [row.original_name for row in read_samples(workspace, NAME)] == sorted(corpus.contents)
    assert {name for name, row in rows.items() if row.status == "broken"} == corpus.broken
    assert all(row.detail for row in rows.values() if row.status == "broken")
    (one,) = account.generators
    expected = {"broken": len(corpus.broken), "equal": len(corpus.equal)}
    expected["ok"] = COUNT - sum(expected.values())
    assert one.results == Counter(expected)
    assert account.others == {".md": 1}
    assert not account.unclaimed
    text = "\n".join(account.lines())
    assert f"{NAME}: {COUNT:,} files: {expected['ok']:,} kept, {expected['broken']:,} broken" in text
    assert f"  and {len(corpus.broken) - 5:,} more that are broken: --report FILE.csv names all" in text


def test_bytes_are_those_of_the_files_in_every_container(imported: tuple[Workspace, Account], corpus: Corpus) -> None:
    workspace, _ = imported
    kept = [row for row in _rows(workspace).values() if row.status == "ok"]
    assert len(kept) == COUNT - len(corpus.broken)
    for row in kept:
        content = (workspace.root / str(row.image.path)).read_bytes()
        assert content == corpus.contents[str(row.original_name)]
    assert Counter(row.format for row in kept).keys() == {"PNG", "JPEG", "WEBP"}
    assert {row.has_exif for row in kept} == {True, False}


def test_prompts_are_read_where_they_are_and_the_column_says_where(
    imported: tuple[Workspace, Account], corpus: Corpus
) -> None:
    found = {
        name: (row.prompt, row.prompt_source)
        for name, row in _rows(imported[0]).items()
        if row.status == "ok" and name not in corpus.equal and name not in corpus.equal.values()
    }
    expected = {name: corpus.prompts.get(name, (None, None)) for name in found}
    assert found == expected
    assert {source for _, source in corpus.prompts.values()} == {
        *("table:prompts.csv", "beside:.txt", "beside:.json", "column:prompt"),
        *("file:parameters", "file:prompt", "file:exif:UserComment"),
    }


def test_the_report_names_each_file_and_each_pair(imported: tuple[Workspace, Account], corpus: Corpus) -> None:
    with (imported[0].root.parent / "report.csv").open(newline="") as file:
        rows = {row["original_name"]: row for row in csv.DictReader(file)}
    assert rows.keys() == corpus.contents.keys()
    assert {name: row["equal_to"] for name, row in rows.items() if row["result"] == "equal"} == corpus.equal


def test_the_generator_is_in_the_catalogue_as_its_user_says(imported: tuple[Workspace, Account]) -> None:
    (entry,) = read_catalog(imported[0])
    assert (entry.model_name, entry.subset, entry.architecture, entry.status) == (NAME, "Manual", "GAN", "incompatible")
    assert (entry.license, entry.license_source, entry.trained_on, entry.reason) == (
        "CC0-1.0",
        "user",
        "FFHQ",
        "imported",
    )
    assert len(entry.revision) == 64


def test_the_same_command_again_changes_nothing_and_mends_what_is_damaged(
    imported: tuple[Workspace, Account], import_corpus: Callable[..., Account]
) -> None:
    workspace, _ = imported
    before = files_of(workspace)
    assert import_corpus(workspace).generators[0].new == 0
    assert files_of(workspace) == before
    image = next(path for path in sorted(workspace.images_of(NAME).iterdir()))
    image.write_bytes(b"changed")
    import_corpus(workspace)
    assert files_of(workspace) == before


def test_an_import_that_was_killed_continues_and_ends_in_the_same_files(
    imported: tuple[Workspace, Account],
    import_corpus: Callable[..., Account],
    corpus: Corpus,
    hub: HubProcess,
    tmp_path: Path,
) -> None:
    workspace = Workspace.open(tmp_path / "workspace")
    arguments = [NAME, str(corpus.root), "--architecture", "GAN", "--license", "cc0-1.0", "--trained-on", "FFHQ"]
    arguments += ["--real-source", "ffhq", "--workspace", str(workspace.root), "--device", "cpu"]
    arguments += ["--weights-dir", str(tmp_path / "weights")]
    environment = {**os.environ, "HF_ENDPOINT": hub.endpoint}
    process = start_command(arguments, environment, import_with_forked_examiner, tmp_path / "output")
    folder = workspace.samples_of(NAME)
    while not (folder.is_dir() and any(path.stat().st_size for path in folder.glob("journal-*"))):
        assert process.is_alive(), (tmp_path / "output").read_text()
        time.sleep(0.02)
    process.kill()
    process.join()
    assert read_samples(workspace, NAME) == []
    again = import_corpus(workspace)
    assert 0 < again.generators[0].new < COUNT
    assert files_of(workspace) == files_of(imported[0])


def test_the_manifest_has_them_with_their_formats_and_verifies_every_file(
    imported: tuple[Workspace, Account], corpus: Corpus, tmp_path: Path
) -> None:
    workspace = Workspace(shutil.copytree(imported[0].root, tmp_path / "workspace"))
    built = build(workspace, BuildOptions(verify="full"))
    rows = records.read(manifest_path(workspace), ManifestRow)
    assert built.kept == len(rows) == COUNT - len(corpus.broken) - len(corpus.equal)
    assert {(row.origin, row.subset, row.real_source, row.real_title) for row in rows} == {
        ("imported", "Manual", "ffhq", "ffhq")
    }
    assert {row.format for row in rows} == {"PNG", "JPEG", "WEBP"}
    assert {row.image_name.rpartition(".")[2] for row in rows} == {"png", "jpg", "webp"}
    assert all((row.jpeg_quality is not None) == (row.format == "JPEG") for row in rows)
    (generator,) = built.generators
    assert (generator.broken, generator.duplicate) == (len(corpus.broken), len(corpus.equal))
