"""Reading what was made: the manifest's rows, and the images they name."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, overload

from community_forensics.stages import WorkspaceLike, existing
from workspace.errors import CommunityForensicsError
from workspace.hub_access import HubAccess

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from PIL.Image import Image


@overload
def read_manifest(
    workspace: WorkspaceLike,
    columns: Sequence[str] | None = None,
    *,
    split: Literal["train", "validation", "test"] | None = None,
    format: Literal["pandas"] = "pandas",
) -> "pd.DataFrame": ...


@overload
def read_manifest(
    workspace: WorkspaceLike,
    columns: Sequence[str] | None = None,
    *,
    split: Literal["train", "validation", "test"] | None = None,
    format: Literal["arrow"],
) -> "pa.Table": ...


def read_manifest(
    workspace: WorkspaceLike,
    columns: Sequence[str] | None = None,
    *,
    split: Literal["train", "validation", "test"] | None = None,
    format: Literal["pandas", "arrow"] = "pandas",
) -> "pd.DataFrame | pa.Table":
    """The manifest's rows, in its order: one row for each image, generated and real.

    `columns`: which columns to read (None: all; docs/manifest.md explains them). `split`: only rows of that split.
    `format`: "pandas" gives a DataFrame with pandas' nullable types, so integers such as seeds are exact where other
    rows have none; "arrow" gives a `pyarrow.Table`. 2.7 million rows of all columns take about 4 GB: name columns.

    Raises `UsageError` when there is no manifest, when it is of another version, or for a column that does not exist.

    Examples:
        >>> import community_forensics as cf
        >>> rows = cf.read_manifest("workspace", ["label", "model_name", "seed", "path"])
        >>> str(rows["seed"].dtype)
        'Int64'
        >>> generated = rows[rows["label"] == 1]
    """
    from manifests.manifest import read_rows

    table = read_rows(existing(workspace), columns, split)
    return table if format == "arrow" else _to_pandas(table)


def open_image(
    workspace: WorkspaceLike, path: str, *, endpoint: str | None = None, token: str | None = None
) -> "Image":
    """The image that a row of the manifest names in its column `path`, decoded: a `PIL.Image.Image`.

    `path` may be a file, an image inside a part file, or a locator of a real image in an archive.
    `endpoint` and `token` are for real images on the Hub, as in the options of the stages.

    Raises `CommunityForensicsError` when it is missing or damaged, or when the Hub does not answer.

    Examples:
        >>> import community_forensics as cf
        >>> rows = cf.read_manifest("workspace", ["path", "width", "height"])
        >>> image = cf.open_image("workspace", rows["path"][0])
        >>> image.size == (rows["width"][0], rows["height"][0])
        True
    """
    from manifests.images import ImageReader, picture

    try:
        with picture(ImageReader(existing(workspace), HubAccess(endpoint, token)).read(path)) as image:
            image.load()
            return image
    except OSError as error:
        raise CommunityForensicsError(f"{path} cannot be opened: {error.strerror or error}") from error


def _to_pandas(table: "pa.Table") -> "pd.DataFrame":
    import pandas as pd
    import pyarrow as pa

    nullable: dict[pa.DataType, pd.api.extensions.ExtensionDtype] = {
        pa.int32(): pd.Int32Dtype(),
        pa.int64(): pd.Int64Dtype(),
        pa.float32(): pd.Float32Dtype(),
        pa.float64(): pd.Float64Dtype(),
        pa.bool_(): pd.BooleanDtype(),
        pa.string(): pd.StringDtype(),
    }
    frame: pd.DataFrame = table.to_pandas(types_mapper=nullable.get)
    return frame
