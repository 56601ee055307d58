"""What must hold before a manifest counts as finished.

First the records it is made from (`record_files`; `rows`, while they are joined; `outcomes`); then the manifest's own
rows (`manifest`), which are checked once more before they are published; then the files it names (`files`, `pictures`).
Each check names the rows that fail it, and `remedies` says what to do. What is wrong with the files of one generator is
found as such (`damaged_generators`, `FileChecks.damaged`): that generator is left out of the manifest.
"""

from manifests.checks.failures import Failure, Problem, raise_build_failures, raise_failures
from manifests.checks.files import check_files
from manifests.checks.manifest import check_manifest
from manifests.checks.outcomes import check_outcomes
from manifests.checks.record_files import check_catalog, check_prompts, damaged_generators, unreadable_generators
from manifests.checks.removed import check_removed, check_removed_rows
from manifests.checks.rows import RowChecks

__all__ = [
    "Failure",
    "Problem",
    "RowChecks",
    "check_catalog",
    "check_files",
    "check_manifest",
    "check_outcomes",
    "check_prompts",
    "check_removed",
    "check_removed_rows",
    "damaged_generators",
    "raise_build_failures",
    "raise_failures",
    "unreadable_generators",
]
