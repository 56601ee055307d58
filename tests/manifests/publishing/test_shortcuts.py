from localhub.process import HubProcess
from manifests.audit.detector_scores import (
    DetectorScore,
    MeanPrecision,
    detector_scores_path,
    read_detector_scores,
    write_detector_scores,
)
from manifests.audit.matching import match, write_matched
from manifests.audit.record import (
    ALL_FACTS,
    NOT_AUDITED,
    Audit,
    Findings,
    MatchedFindings,
    audit_path,
    has_matched,
    read_audit,
    write_audit,
)  # fmt: skip
from manifests.audit.scores import Score
from manifests.database import database, parquet_view
from manifests.manifest import existing_manifest, manifest_path
from manifests.reproduction.record import Reproduction, write_reproduction
from tests.manifests.publishing.publishing import files, publish, text
from workspace.identity import sha256_of_file
from workspace.layout import Workspace


def with_audit(workspace: Workspace, auroc: float) -> None:
    """An audit with a matched subset, as the stage writes it."""
    manifest = sha256_of_file(manifest_path(workspace))
    with database(workspace) as connection:
        parquet_view(connection, "audited", [existing_manifest(workspace)])
        matching = match(connection)
        write_matched(connection, workspace, manifest)
    scores = tuple(Score(name, auroc, auroc, auroc, auroc, auroc, auroc) for name in (ALL_FACTS, "file size"))
    matched = MatchedFindings(matching.pairs, matching.possible, Findings(0, 0, 0))
    write_audit(workspace, Audit(manifest, 31, Findings(22, 9, 3, scores), {}, matched))


def test_publishing_says_what_the_audit_found_or_that_there_was_none(hub: HubProcess, ready: Workspace) -> None:
    workspace = ready
    done = publish(hub, workspace, "lab/audited", dry_run=True)
    assert done.stdout.endswith(NOT_AUDITED)
    assert "detect" not in done.stdout.removesuffix(NOT_AUDITED)
    with_audit(workspace, 0.93)
    means = MeanPrecision(0.9, 0.8, 0.95, 12), MeanPrecision(None, None, None, 0)
    write_detector_scores(workspace, [DetectorScore("probe-|x-01", "generator:5, all folds", *means)])
    done = publish(hub, workspace, "lab/audited")
    assert done.returncode == 0, done.stderr
    assert "by itself): file size 0.93" in done.stdout
    card = text(hub, "lab/audited", "README.md")
    assert "by itself): file size 0.93" in card
    assert "metadata/matched.parquet" in card
    row = r"| probe-\|x-01 | generator:5, all folds | 0.90 (0.80 to 0.95, 12 generators) | undefined |"
    assert row in card.splitlines()
    assert files(hub, "lab/audited")["metadata/matched.parquet"]
    assert has_matched(workspace, read_audit(workspace))
    # An audit of another manifest is not published, nor what it matched.
    audit_path(workspace).write_text(audit_path(workspace).read_text().replace('"manifest": "', '"manifest": "0'))
    done = publish(hub, workspace, "lab/audited")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(NOT_AUDITED)
    assert "metadata/matched.parquet" not in files(hub, "lab/audited")
    assert NOT_AUDITED in text(hub, "lab/audited", "README.md")


DAMAGED = ["", "[", "null", '{"scores": [1], "manifest": "0"}', "[" * 100_000, "\x00"]


def test_scores_of_detectors_that_the_card_leaves_out_are_named_with_the_reason(
    hub: HubProcess, ready: Workspace
) -> None:
    means = MeanPrecision(0.9, 0.8, 0.95, 12), MeanPrecision(None, None, None, 0)
    write_detector_scores(ready, [DetectorScore("probe", "split", *means)])
    path = detector_scores_path(ready)
    written = path.read_text()
    path.write_text(written.replace('"manifest": "', '"manifest": "0'))
    lines = publish(hub, ready, "lab/scores", dry_run=True).stdout.splitlines()
    assert f"{path} is of another manifest: the card says nothing of detectors" in lines[-1]
    for content in DAMAGED:
        path.write_text(content)
        assert "cannot be read (" in str(read_detector_scores(ready).left_out)
    lines = publish(hub, ready, "lab/scores", dry_run=True).stdout.splitlines()
    assert lines[-1].endswith("the card says nothing of detectors; `cf-detect evaluate` writes it again")
    assert not any("| probe |" in line for line in lines)


def test_in_the_studys_layout_too_what_was_measured_is_of_the_manifest(hub: HubProcess, ready: Workspace) -> None:
    with_audit(ready, 0.93)
    manifest = sha256_of_file(manifest_path(ready))
    write_reproduction(ready, Reproduction(manifest, 7, ("org/painter@a#1",), ("cpu",)))
    done = publish(hub, ready, "lab/study", layout="community-forensics")
    assert done.returncode == 0, done.stderr
    assert "by itself): file size 0.93" in done.stdout
    assert NOT_AUDITED not in text(hub, "lab/study", "README.md")
    assert "made again bit-equal" in text(hub, "lab/study", "README.md")
    assert files(hub, "lab/study")["metadata/matched.parquet"]
