"""What must hold before a manifest is called finished.

The rows first (`rows.py`), by queries over the joined manifest and the records it came from; then the files
(`files.py`), in threads. Each check names the rows that fail it; all checks run, so that one look shows everything.
"""

from manifests.checks.failures import Failure, refuse
from manifests.checks.files import Verify, check_files
from manifests.checks.rows import RowChecks

__all__ = ["Failure", "RowChecks", "Verify", "check_files", "refuse"]
