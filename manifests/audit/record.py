"""What an audit found, and its file, `manifest/audit.json`.

The file names the sha256 of the manifest that it belongs to, so an audit of another manifest is never shown.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from manifests.audit.matching import matched_path
from manifests.audit.scores import Score
from manifests.manifest import manifest_path
from workspace.atomic import write_json
from workspace.identity import sha256_of_file
from workspace.layout import Workspace
from workspace.number_text import counted

#: An AUROC above this is a warning.
WARNED = 0.60

#: A matched subset of fewer pairs says little: the interval of its AUROC is about 0.2 wide.
FEW_PAIRS = 100

ALL_FACTS = "all file facts together"

#: Facts that a line names; the report has all.
_NAMED = 5

NOT_AUDITED = (
    "no shortcut audit was made of this manifest, so it is unknown whether file facts tell real from generated images: "
    "run `cf-build-manifest --audit`"
)


@dataclass(frozen=True)
class Findings:
    """How well facts and pixels tell real from generated images in one set of them. No scores: there were not two
    generators and two real images to hold out."""

    generated: int
    real: int
    generators: int
    facts: tuple[Score, ...] = ()
    """All together (`ALL_FACTS`) first, then each alone, highest AUROC first."""
    pixels: tuple[Score, ...] = ()
    pictures: tuple[int, int] = (0, 0)
    """Generated and real images whose pixels were looked at."""
    unread: int = 0
    """Images that could not be read for that."""

    @property
    def together(self) -> Score | None:
        """The score of all file facts together."""
        return next((score for score in self.facts if score.name == ALL_FACTS), None)

    @property
    def warned(self) -> tuple[Score, ...]:
        """Each fact and statistic above `WARNED` by itself."""
        return tuple(s for s in (*self.facts, *self.pixels) if s.auroc > WARNED and s.name != ALL_FACTS)


@dataclass(frozen=True)
class MatchedFindings:
    """The matched subset: its number of pairs, what was asked for one after the other and how many pairs were possible
    then, and what the audit found in it."""

    pairs: int
    possible: tuple[tuple[str, int], ...]
    findings: Findings


@dataclass(frozen=True)
class Audit:
    """The audit of one manifest."""

    manifest: str
    """sha256 of manifest.parquet."""
    images: int
    """Rows of the manifest in a split, of which `findings` may be a sample."""
    findings: Findings
    not_audited: dict[str, str]
    """Facts that were left out, and why."""
    matched: MatchedFindings | None = None

    def lines(self) -> Iterator[str]:
        """What was found, for the terminal and for `cf-publish`."""
        found = self.findings
        sampled = f" of {self.images}" if found.generated + found.real < self.images else ""
        looked = f"{found.generated + found.real}{sampled} images"
        if found.together is None:
            yield (
                f"audit: not possible with {counted(found.generators, 'generator')} and "
                f"{counted(found.real, 'real image')}: two of each are needed"
            )
            return
        yield f"audit of {looked}: {_said(found.together)}"
        if found.together.auroc > WARNED or found.warned:
            named = ", ".join(f"{score.name} {score.auroc:.2f}" for score in found.warned[:_NAMED])
            more = f" and {len(found.warned) - _NAMED} more" if len(found.warned) > _NAMED else ""
            yield (
                "warning: a detector could learn the following instead of traces of generation (AUROC above "
                f"{WARNED:.2f} by itself): {named or 'no fact alone, but all together'}{more}"
            )
        for name, why in self.not_audited.items():
            yield f"not audited: {name} ({why})"
        if found.unread:
            yield f"{counted(found.unread, 'image')} could not be read for the audit of pixels"
        if self.matched is not None:
            yield from self._matched_lines(self.matched)

    def _matched_lines(self, matched: MatchedFindings) -> Iterator[str]:
        together = matched.findings.together
        score = f": {_said(together)}" if together else ", too few to audit"
        yield f"matched subset: {counted(matched.pairs, 'pair')} of a generated and a real image{score}"
        if matched.pairs < FEW_PAIRS:
            steps = ", ".join(f"{name} {number}" for name, number in matched.possible)
            yield f"warning: few images match; pairs that are possible when one more fact must be equal: {steps}"
        if together and together.auroc > WARNED:
            yield f"warning: file facts still tell real from generated in the matched subset (AUROC above {WARNED:.2f})"


def audit_path(workspace: Workspace) -> Path:
    """The audit's file."""
    return workspace.manifest / "audit.json"


def write_audit(workspace: Workspace, audit: Audit) -> None:
    """Write the audit's file."""
    write_json(audit_path(workspace), asdict(audit))


def read_audit(workspace: Workspace) -> Audit | None:
    """The audit of the manifest as it is; None: there is none, or it is of another manifest, or damaged."""
    try:
        written: Any = json.loads(audit_path(workspace).read_bytes())
        audit = parse_audit(written)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return audit if audit.manifest == sha256_of_file(manifest_path(workspace)) else None


def has_matched(workspace: Workspace, audit: Audit | None) -> bool:
    """Whether there is a matched subset of the manifest that was audited."""
    return audit is not None and audit.matched is not None and matched_path(workspace).exists()


def remove_stale(workspace: Workspace) -> None:
    """Remove the audit and the matched subset of another manifest."""
    audit = read_audit(workspace)
    if audit is None:
        audit_path(workspace).unlink(missing_ok=True)
    if audit is None or audit.matched is None:
        matched_path(workspace).unlink(missing_ok=True)


def audit_lines(workspace: Workspace) -> Sequence[str]:
    """What is known of shortcuts in the manifest as it is; as `shortcut_lines`."""
    return shortcut_lines(read_audit(workspace))


def shortcut_lines(audit: Audit | None) -> Sequence[str]:
    """What an audit found, a line each; where there was none, one that says so."""
    return (NOT_AUDITED,) if audit is None else tuple(audit.lines())


def _said(score: Score) -> str:
    """All facts together, in words."""
    return (
        f"{score.name} tell real from generated images with AUROC {score.auroc:.2f} "
        f"(95 % interval {score.auroc_low:.2f} to {score.auroc_high:.2f}; 0.50 is chance)"
    )


def parse_audit(written: Any) -> Audit:
    """An audit from its form in JSON. Raises `ValueError`, `TypeError`, `KeyError` or `AttributeError`."""
    matched = written.pop("matched")
    if matched is not None:
        possible = tuple((name, number) for name, number in matched["possible"])
        matched = MatchedFindings(matched["pairs"], possible, _findings(matched["findings"]))
    return Audit(**written | {"findings": _findings(written["findings"]), "matched": matched})


def _findings(written: Any) -> Findings:
    scores = {name: tuple(Score(**score) for score in written[name]) for name in ("facts", "pixels")}
    return Findings(**written | scores | {"pictures": tuple(written["pictures"])})
