"""The audit as it is asked for: of a manifest, by its numbers and its words."""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from manifests import building
from manifests.audit.audit import audit_manifest
from manifests.audit.matching import matched_path, read_matched
from manifests.audit.record import NOT_AUDITED, WARNED, Audit, audit_lines, audit_path, read_audit, remove_stale
from manifests.manifest import ManifestRow, manifest_path, read_rows
from manifests.options import BuildOptions
from tests.manifests.audit.worlds import JPEG, PNG, Draw, sized, world
from tests.manifests.commands import build
from tests.manifests.making import Builder, png
from workspace import extras, records
from workspace.errors import UsageError
from workspace.layout import Workspace


@dataclass(frozen=True)
class Audited:
    """A world whose image files do not exist, and its audit."""

    workspace: Workspace
    audit: Audit

    @classmethod
    def of(cls, folder: Path, generated: Draw, real: Draw, matched: bool = False) -> "Audited":
        workspace = Workspace.open(folder)
        records.write(manifest_path(workspace), ManifestRow, world(generated, real))
        return cls(workspace, audit_manifest(workspace, BuildOptions(matched=matched)))


@pytest.fixture(scope="module")
def shifted(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    """Real files are somewhat larger."""
    return Audited.of(tmp_path_factory.mktemp("shifted"), sized(PNG, 12), sized(PNG, 12.2), matched=True)


@pytest.fixture
def copied(shifted: Audited, tmp_path: Path) -> Workspace:
    """The same, to change something."""
    return Workspace.open(shutil.copytree(shifted.workspace.root, tmp_path / "copied"))


def test_real_images_that_are_all_jpeg_are_found_and_named(tmp_path: Path) -> None:
    audit = Audited.of(tmp_path, sized(PNG, 12), sized(JPEG, 12)).audit
    assert audit.findings.together is not None
    assert audit.findings.together.auroc_low > 0.95
    named = {score.name for score in audit.findings.warned}
    assert named == {"format", "JPEG quality", "chroma subsampling", "progressive JPEG"}
    assert any("warning" in line and "format 1.00" in line for line in audit.lines())


def test_where_files_are_alike_the_audit_is_at_chance_and_warns_of_nothing(tmp_path: Path) -> None:
    audit = Audited.of(tmp_path, sized(PNG, 12), sized(PNG, 12)).audit
    for score in audit.findings.facts:
        assert 0.4 < score.auroc < WARNED
        assert 0.4 < score.accuracy < WARNED
        assert score.auroc_low <= 0.5 <= score.auroc_high
    assert not any("warning" in line for line in audit.lines())


def test_the_same_manifest_gives_the_same_bytes(shifted: Audited, copied: Workspace) -> None:
    audit_manifest(copied, BuildOptions(matched=True))
    for path in (audit_path, matched_path):
        assert path(copied).read_bytes() == path(shifted.workspace).read_bytes()


def test_a_matched_subset_is_at_chance_and_its_pairs_have_like_files(shifted: Audited) -> None:
    found, matched = shifted.audit.findings, shifted.audit.matched
    assert found.together is not None
    assert found.together.auroc > 0.65
    assert matched is not None
    assert matched.findings.together is not None
    assert matched.findings.together.auroc <= WARNED
    rows = read_matched(shifted.workspace, shifted.audit.manifest).to_pylist()
    assert len(rows) == 2 * matched.pairs > 60
    assert len({row["sha256"] for row in rows}) == len(rows)
    assert [row["label"] for row in rows] == [1, 0] * matched.pairs
    assert [row["pair"] for row in rows] == [pair for pair in range(matched.pairs) for _ in range(2)]
    assert all((row["model_name"] is None) == (row["label"] == 0) == (row["real_id"] is not None) for row in rows)
    sizes = {row["sha256"]: row["file_size"] for row in read_rows(shifted.workspace).to_pylist()}
    ratios = [sizes[one["sha256"]] / sizes[other["sha256"]] for one, other in zip(rows[::2], rows[1::2], strict=True)]
    # A fifth of the standard deviation, 0.2, of the logarithm.
    assert all(0.95 < ratio < 1.05 for ratio in ratios)


def test_where_few_images_match_it_says_in_numbers_at_which_fact_they_are_lost(tmp_path: Path) -> None:
    audit = Audited.of(tmp_path, sized(PNG, 12), sized(PNG | {"mode": "L"}, 12), matched=True).audit
    assert audit.matched is not None
    assert audit.matched.pairs == 0
    assert dict(audit.matched.possible)["format"] == 120
    assert dict(audit.matched.possible)["colour mode"] == 0
    assert "matched subset: 0 pairs of a generated and a real image, too few to audit" in list(audit.lines())
    assert any("few images match" in line and "format 120, colour mode 0" in line for line in audit.lines())


def test_a_fact_that_is_unknown_is_not_taken_for_a_property(tmp_path: Path) -> None:
    audit = Audited.of(tmp_path, sized(PNG, 12), lambda _: PNG | {"file_size": None}).audit
    assert audit.not_audited == dict.fromkeys(("file size", "bits per pixel"), "unknown for 100% of the real images")
    assert audit.findings.together is not None
    assert audit.findings.together.auroc == 0.5
    assert any(line.startswith("not audited: file size") for line in audit.lines())


def test_an_audit_of_another_manifest_is_never_shown_and_is_removed(shifted: Audited, copied: Workspace) -> None:
    remove_stale(copied)
    assert read_audit(copied) == shifted.audit
    records.write(manifest_path(copied), ManifestRow, world(sized(PNG, 12), sized(PNG, 12)))
    assert read_audit(copied) is None
    assert audit_lines(copied) == (NOT_AUDITED,)
    with pytest.raises(UsageError, match="of another manifest"):
        read_matched(copied, "0" * 64)
    remove_stale(copied)
    assert not audit_path(copied).exists()
    assert not matched_path(copied).exists()


def test_an_audit_without_matching_removes_the_former_subset(copied: Workspace) -> None:
    audit_manifest(copied, BuildOptions(audit=True))
    assert not matched_path(copied).exists()


def test_a_damaged_audit_is_no_audit(copied: Workspace) -> None:
    for content in ("", "[]", "{}", "null", '{"matched": {"possible": 3}}', "\ud800"):
        audit_path(copied).write_bytes(content.encode(errors="surrogatepass"))
        assert read_audit(copied) is None


def test_audit_json_has_what_was_found_for_other_programs(shifted: Audited) -> None:
    written = json.loads(audit_path(shifted.workspace).read_text())
    assert written == json.loads(json.dumps(asdict(shifted.audit)))


def test_the_command_audits_files_and_pixels_and_says_what_could_not_be_read(builder: Builder) -> None:
    generators = [builder.generator(name, task="unconditional") for name in ("org/a", "org/b", "org/c")]
    prompts = [builder.real("photos", number) for number in range(12)]
    for number, prompt in enumerate(prompts):
        builder.sample(generators[number % 3], prompt, content=png(number, 24))
    # The checks read one file in fifty whole; the audit reads all of these.
    damaged = Path(prompts[3].real_path)
    damaged.write_bytes(bytes(damaged.stat().st_size))
    workspace = builder.write()
    done = build(workspace.root, "--audit")
    assert done.returncode == 0, done.stderr
    assert "audit of 24 images: all file facts together tell real from generated images with AUROC 0." in done.stdout
    assert "1 image could not be read for the audit of pixels" in done.stdout
    audit = read_audit(workspace)
    assert audit is not None
    assert (audit.findings.pictures, audit.findings.unread) == ((12, 11), 1)
    assert {score.name for score in audit.findings.pixels} == {"mean colour", "8 × 8 grey thumbnail", "grey levels"}
    # Built again without an audit: the manifest is the same, and so is what was found.
    building.build(workspace)
    remove_stale(workspace)
    assert read_audit(workspace) == audit


def test_with_one_generator_it_says_that_there_is_nothing_to_hold_out(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path)
    rows = world(sized(PNG, 12), sized(JPEG, 12), generators=1, each=4, real=4)
    records.write(manifest_path(workspace), ManifestRow, rows)
    audit = audit_manifest(workspace, BuildOptions())
    assert list(audit.lines()) == ["audit: not possible with 1 generator and 4 real images: two of each are needed"]


def test_without_scikit_learn_it_names_the_extra_before_it_builds(
    builder: Builder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "_is_installed", lambda name: name != "scikit-learn")
    done = build(builder.workspace.root, "--matched")
    assert done.returncode == 2
    assert done.stderr.startswith("error: cf-build-manifest --audit needs scikit-learn, which is not installed")
    assert "community-forensics[audit]" in done.stderr
