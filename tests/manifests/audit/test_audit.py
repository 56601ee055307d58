"""The audit as it is asked for: of a manifest, by its numbers and its words."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from manifests.audit.audit import audit_manifest
from manifests.audit.matching import matched_path, read_matched
from manifests.audit.record import NOT_AUDITED, WARNED, Audit, audit_lines, audit_path, read_audit, remove_stale
from manifests.manifest import ManifestRow, manifest_path
from manifests.options import BuildOptions
from tests.manifests.audit.worlds import JPEG, PNG, Draw, sized, world
from tests.manifests.commands import build
from tests.manifests.making import Builder, png
from workspace import records
from workspace.errors import UsageError
from workspace.layout import Workspace


def audited(folder: Path, generated: Draw, real: Draw, matched: bool = False) -> Audit:
    """The audit of a world whose image files do not exist."""
    workspace = Workspace.open(folder)
    records.write(manifest_path(workspace), ManifestRow, world(generated, real))
    return audit_manifest(workspace, BuildOptions(matched=matched))


def test_real_images_that_are_all_jpeg_are_found_and_named(tmp_path: Path) -> None:
    audit = audited(tmp_path, sized(PNG, 12), sized(JPEG, 12))
    assert audit.findings.together is not None
    assert audit.findings.together.auroc_low > 0.95
    named = {score.name for score in audit.findings.warned}
    assert named == {"format", "JPEG quality", "chroma subsampling", "progressive JPEG"}
    assert any("warning" in line and "format 1.00" in line for line in audit.lines())


def test_where_files_are_alike_the_audit_is_at_chance_and_warns_of_nothing(tmp_path: Path) -> None:
    audit = audited(tmp_path, sized(PNG, 12), sized(PNG, 12))
    for score in audit.findings.facts:
        assert 0.4 < score.auroc < WARNED
        assert 0.4 < score.accuracy < WARNED
        assert score.auroc_low <= 0.5 <= score.auroc_high
    assert not any("warning" in line for line in audit.lines())


def test_the_same_manifest_gives_the_same_bytes(tmp_path: Path) -> None:
    audited(tmp_path / "one", sized(PNG, 12), sized(PNG, 12.3), matched=True)
    audited(tmp_path / "two", sized(PNG, 12), sized(PNG, 12.3), matched=True)
    for name in ("audit.json", "matched.parquet"):
        one, two = (tmp_path / which / "manifest" / name for which in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_a_matched_subset_is_at_chance_and_its_pairs_have_like_files(tmp_path: Path) -> None:
    audit = audited(tmp_path, sized(PNG, 12), sized(PNG, 12.2), matched=True)
    assert audit.findings.together is not None
    assert audit.findings.together.auroc > 0.65
    assert audit.matched is not None
    assert audit.matched.findings.together is not None
    assert audit.matched.findings.together.auroc <= WARNED
    rows = read_matched(Workspace.open(tmp_path), audit.manifest).to_pylist()
    assert len(rows) == 2 * audit.matched.pairs > 60
    assert len({row["sha256"] for row in rows}) == len(rows)
    assert [row["label"] for row in rows] == [1, 0] * audit.matched.pairs
    assert [row["pair"] for row in rows] == [pair for pair in range(audit.matched.pairs) for _ in range(2)]
    assert all((row["model_name"] is None) == (row["label"] == 0) == (row["real_id"] is not None) for row in rows)


def test_where_few_images_match_it_says_in_numbers_at_which_fact_they_are_lost(tmp_path: Path) -> None:
    audit = audited(tmp_path, sized(PNG, 12), sized(PNG | {"mode": "L"}, 12), matched=True)
    assert audit.matched is not None
    assert audit.matched.pairs == 0
    assert dict(audit.matched.possible)["format"] == 120
    assert dict(audit.matched.possible)["colour mode"] == 0
    assert "matched subset: 0 pairs of a generated and a real image, too few to audit" in list(audit.lines())
    assert any("few images match" in line and "format 120, colour mode 0" in line for line in audit.lines())


def test_a_fact_that_is_unknown_is_not_taken_for_a_property(tmp_path: Path) -> None:
    audit = audited(tmp_path, sized(PNG, 12), lambda _: PNG | {"file_size": None})
    assert audit.not_audited == dict.fromkeys(("file size", "bits per pixel"), "unknown for 100% of the real images")
    assert audit.findings.together is not None
    assert audit.findings.together.auroc == 0.5
    assert any(line.startswith("not audited: file size") for line in audit.lines())


def test_an_audit_of_another_manifest_is_never_shown_and_is_removed(tmp_path: Path) -> None:
    audit = audited(tmp_path, sized(PNG, 12), sized(JPEG, 12), matched=True)
    workspace = Workspace.open(tmp_path)
    remove_stale(workspace)
    assert read_audit(workspace) == audit
    records.write(manifest_path(workspace), ManifestRow, world(sized(PNG, 12), sized(PNG, 12)))
    assert read_audit(workspace) is None
    assert audit_lines(workspace) == (NOT_AUDITED,)
    with pytest.raises(UsageError, match="of another manifest"):
        read_matched(workspace, "0" * 64)
    remove_stale(workspace)
    assert not audit_path(workspace).exists()
    assert not matched_path(workspace).exists()


@pytest.mark.parametrize("content", ["", "[]", "{}", "null", '{"matched": {"possible": 3}}', "\ud800"])
def test_a_damaged_audit_is_no_audit(tmp_path: Path, content: str) -> None:
    audited(tmp_path, sized(PNG, 12), sized(PNG, 12))
    workspace = Workspace.open(tmp_path)
    audit_path(workspace).write_bytes(content.encode(errors="surrogatepass"))
    assert read_audit(workspace) is None


def test_audit_json_has_what_was_found_for_other_programs(tmp_path: Path) -> None:
    audit = audited(tmp_path, sized(PNG, 12), sized(PNG, 12), matched=True)
    assert json.loads(audit_path(Workspace.open(tmp_path)).read_text()) == json.loads(json.dumps(asdict(audit)))


def test_the_command_audits_files_and_pixels_and_says_what_could_not_be_read(builder: Builder) -> None:
    generators = [builder.generator(name, task="unconditional") for name in ("org/a", "org/b", "org/c")]
    prompts = [builder.real("photos", number) for number in range(12)]
    for number, prompt in enumerate(prompts):
        builder.sample(generators[number % 3], prompt, content=png(number, 24))
    workspace = builder.write()
    done = build(workspace.root, "--audit", "--matched")
    assert done.returncode == 0, done.stderr
    assert "audit of 24 images: all file facts together tell real from generated images with AUROC 0." in done.stdout
    assert "matched subset: " in done.stdout
    audit = read_audit(workspace)
    assert audit is not None
    assert (audit.findings.pictures, audit.findings.unread) == ((12, 12), 0)
    assert {score.name for score in audit.findings.pixels} == {"mean colour", "8 × 8 grey thumbnail", "grey levels"}
    # Built again without an audit: the manifest is the same, and so is what was found.
    assert build(workspace.root).returncode == 0
    assert read_audit(workspace) == audit
    # The checks read one file in fifty; the audit reads all of these.
    Path(prompts[3].real_path).write_bytes(b"\x89PNG nothing")
    audit_manifest(workspace, BuildOptions())
    assert read_audit(workspace) is not None
    assert "1 image could not be read for the audit of pixels" in audit_lines(workspace)


def test_with_one_generator_it_says_that_there_is_nothing_to_hold_out(builder: Builder) -> None:
    generator = builder.generator("org/only")
    for number in range(4):
        builder.sample(generator, builder.real("photos", number))
    done = build(builder.write().root, "--audit")
    assert done.returncode == 0, done.stderr
    assert "audit: not possible with 1 generator and 4 real images: two of each are needed" in done.stdout
