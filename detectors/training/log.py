"""training.parquet: what each step of a run was."""

from dataclasses import dataclass

import pyarrow as pa

from workspace.records import column


@dataclass(frozen=True, kw_only=True)
class TrainingStep:
    """One optimiser step."""

    step: int = column(pa.int32(), "counted from 1")
    loss: float = column(pa.float32(), "mean over the batch")
    lr: float = column(pa.float64(), "learning rate")
    images_per_second: float = column(pa.float32(), "of all processes together")
    waited_seconds: float = column(pa.float32(), "that this process waited for images")
    skipped: int = column(pa.int32(), "images of this process that could not be read")
    validation_auroc: float | None = column(
        pa.float32(),
        "of images of generators that are held out of training; null: not measured at this step",
        default=None,
    )
    validation_accuracy: float | None = column(
        pa.float32(), "balanced accuracy of the same at probability one half; null: not measured", default=None
    )
