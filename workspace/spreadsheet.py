"""Texts of strangers in the cells of a CSV file, which people open with a spreadsheet.

A spreadsheet takes a cell that begins with =, +, -, @, a tab or a carriage return for a formula, which can send the
other cells away. Before the text of such a cell there is an apostrophe, as OWASP recommends
(https://owasp.org/www-community/attacks/CSV_Injection). Numbers stay as they are.
"""

import re
from collections.abc import Mapping
from typing import Any

from workspace.printable import printable

#: How a text begins that is taken for a formula; the full-width forms are taken for the same characters.
FORMULA = "^[=+\\-@\t\r\n＝＋－＠]"


def cells(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row whose texts are printable, and no formulas."""
    return {name: _cell(value) if isinstance(value, str) else value for name, value in row.items()}


def _cell(text: str) -> str:
    shown = printable(text)
    return f"'{shown}" if re.match(FORMULA, shown) else shown
