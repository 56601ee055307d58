"""The troubleshooting page has every code of the closed sets, once, and no other; each with a remedy."""

import re
from typing import get_args

import pytest

from captioning.cleaning import DropReason
from captioning.skipped import SkipReason
from crawler.reasons import Reason
from samplers.outcomes import Status
from samplers.sample import SampleStatus
from tests.docs.pages import DOCS, table_codes
from workspace.command_line import INTERRUPTED_EXIT_CODE, REQUEUE_EXIT_CODE, SOME_FAILED_EXIT_CODE
from workspace.errors import CommunityForensicsError, UsageError

PAGE = DOCS / "troubleshooting.md"
ENDS = (0, SOME_FAILED_EXIT_CODE, INTERRUPTED_EXIT_CODE, REQUEUE_EXIT_CODE)
EXIT_CODES = (*ENDS, CommunityForensicsError.exit_code, UsageError.exit_code)
SETS = {
    "Exit codes": tuple(map(str, EXIT_CODES)),
    "Outcomes of a generator": get_args(Status),
    "Status of a sample": get_args(SampleStatus),
    "Reasons in the catalogue": tuple(reason.value for reason in Reason),
    "Skipped real images": get_args(SkipReason),
    "Dropped captions": get_args(DropReason),
}


@pytest.mark.parametrize("heading", SETS)
def test_the_page_names_every_code_and_no_other(heading: str) -> None:
    assert sorted(table_codes(PAGE, heading)) == sorted(SETS[heading])


def test_every_row_has_a_meaning_and_a_remedy() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("|")]
    for row in rows:
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]
        assert len(cells) == 3, row
        assert all(cells), row
