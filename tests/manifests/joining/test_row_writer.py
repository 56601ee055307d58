from pathlib import Path

import duckdb
import pytest

from manifests.joining.row_writer import RowWriter
from manifests.manifest import ManifestRow
from workspace.errors import CommunityForensicsError


def test_a_row_without_a_value_that_every_row_has_is_an_error(tmp_path: Path) -> None:
    with (
        duckdb.connect() as connection,
        pytest.raises(CommunityForensicsError, match=r"1 row without \w+: a part in samples/ or prompts/ is damaged"),
        RowWriter(tmp_path / "manifest.parquet", ManifestRow) as writer,
    ):
        writer.write(connection.sql("SELECT '00000000.png' AS image_name"))
