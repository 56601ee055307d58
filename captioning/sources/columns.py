"""Which columns the user named: `--image-column` and `--caption-column`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Columns:
    """The column of the images in Parquet files (of their file names in a table of captions), and that of the captions;
    None: found by type and name."""

    image: str | None = None
    caption: str | None = None
