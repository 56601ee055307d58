"""The table of columns in docs/manifest.md is that of the manifest's record."""

import dataclasses
import re

from manifests.manifest import ManifestRow
from tests.docs.pages import DOCS


def test_the_page_explains_every_column_of_the_manifest_and_no_other() -> None:
    section = (DOCS / "manifest.md").read_text().partition("\n## Rows\n")[2].partition("\n## ")[0]
    first_cells = re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE)
    explained = [name for cell in first_cells for name in re.findall(r"`([^`]+)`", cell)]
    assert sorted(explained) == sorted(field.name for field in dataclasses.fields(ManifestRow))
