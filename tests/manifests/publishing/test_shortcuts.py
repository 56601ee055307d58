from localhub.process import HubProcess
from manifests.audit.matching import match
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
from tests.manifests.publishing.publishing import files, publish, text
from workspace.identity import sha256_of_file
from workspace.layout import Workspace


def with_audit(workspace: Workspace, auroc: float) -> None:
    """An audit with a matched subset, as the stage writes it."""
    manifest = sha256_of_file(manifest_path(workspace))
    with database(workspace) as connection:
        parquet_view(connection, "audited", [existing_manifest(workspace)])
        matching = match(connection, workspace, manifest)
    scores = tuple(Score(name, auroc, auroc, auroc, auroc, auroc, auroc) for name in (ALL_FACTS, "file size"))
    matched = MatchedFindings(matching.pairs, matching.possible, Findings(0, 0, 0))
    write_audit(workspace, Audit(manifest, 31, Findings(22, 9, 3, scores), {}, matched))


def test_publishing_says_what_the_audit_found_or_that_there_was_none(hub: HubProcess, ready: Workspace) -> None:
    workspace = ready
    done = publish(hub, workspace, "lab/audited", dry_run=True)
    assert done.stdout.endswith(NOT_AUDITED)
    with_audit(workspace, 0.93)
    done = publish(hub, workspace, "lab/audited")
    assert done.returncode == 0, done.stderr
    assert "by itself): file size 0.93" in done.stdout
    card = text(hub, "lab/audited", "README.md")
    assert "by itself): file size 0.93" in card
    assert "metadata/matched.parquet" in card
    assert files(hub, "lab/audited")["metadata/matched.parquet"]
    assert has_matched(workspace, read_audit(workspace))
    # An audit of another manifest is not published, nor what it matched.
    audit_path(workspace).write_text(audit_path(workspace).read_text().replace('"manifest": "', '"manifest": "0'))
    done = publish(hub, workspace, "lab/audited")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(NOT_AUDITED)
    assert "metadata/matched.parquet" not in files(hub, "lab/audited")
    assert NOT_AUDITED in text(hub, "lab/audited", "README.md")


def test_in_the_studys_layout_too_the_audit_is_that_of_the_manifest(hub: HubProcess, ready: Workspace) -> None:
    with_audit(ready, 0.93)
    done = publish(hub, ready, "lab/study", layout="community-forensics")
    assert done.returncode == 0, done.stderr
    assert "by itself): file size 0.93" in done.stdout
    assert NOT_AUDITED not in text(hub, "lab/study", "README.md")
    assert files(hub, "lab/study")["metadata/matched.parquet"]
