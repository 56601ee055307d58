"""Detectors on a frozen backbone: a linear layer or a bank of neighbours on its features.

Their features are computed once for each image, so such a detector is trained and tested on an index without reading
an image again.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.data.index import Index, Rows
from detectors.metrics.validation import Validation, validation_rows
from detectors.models import probe
from detectors.models.backbones import Backbone, backbone
from detectors.models.features import features_of, without_features
from detectors.models.neighbours import Bank
from detectors.models.probe import Linear
from detectors.models.registry import ModelSpec
from detectors.pixels.inputs import Image
from detectors.protocols.folds import Fold
from detectors.run import Run
from manifests.manifest import FAKE, REAL
from workspace.atomic import atomic_path
from workspace.errors import UsageError, in_one_line
from workspace.hub_access import HubAccess
from workspace.identity import number_of
from workspace.layout import Workspace

#: Validation images at most, for thresholds.
_VALIDATION = 20_000


class HeadDetector:
    """A backbone and what is on it."""

    def __init__(self, features: Backbone, head: Linear | Bank, workspace: Workspace | None = None) -> None:
        """`workspace`: where features are kept."""
        self.backbone, self._head, self._workspace = features, head, workspace

    @classmethod
    def load(cls, spec: ModelSpec, run: Run, device: str = "auto") -> "HeadDetector":
        """The detector of a run. Raises `UsageError` where its backbone is not there, or its weights are damaged."""
        from safetensors.numpy import load_file

        described = run.described()
        made = backbone(
            str(described.get("backbone")),
            str(spec.settings["layer"]),
            device,
            precision=str(spec.settings["precision"]),
        )
        if described.get("backbone_key") != made.key:
            raise UsageError(
                f"{run.name}: its backbone was {described.get('backbone_key')}, and {described.get('backbone')} is "
                f"{made.key}: put the former files there"
            )
        try:
            tensors = load_file(run.weights)
            head: Linear | Bank
            if "weight" in tensors:
                head = Linear(tensors["weight"], float(tensors["bias"][0]))
            else:
                head = Bank(tensors["features"], tensors["labels"], int(spec.settings["k"]))
        except Exception as error:  # safetensors has an exception of its own, which is no subclass
            raise UsageError(f"{run.weights} is damaged: {in_one_line(error, 200)}; train again") from error
        return cls(made, head, Workspace(run.folder.parents[1]))

    def logits(self, images: Sequence[Image]) -> npt.NDArray[np.float32]:
        """As `Detector.logits`."""
        return self._head.logits(self.backbone.features(images))

    def features(self, images: Sequence[Image]) -> npt.NDArray[np.float32]:
        """As `Detector.features`."""
        return self.backbone.features(images)

    def logits_of_rows(self, index: Index, rows: Rows) -> npt.NDArray[np.float32]:
        """The logit of each row of an index, by features that are kept; NaN for an image that cannot be read."""
        if self._workspace is None:
            raise UsageError("this detector keeps no features: give it images")
        return _logits(self._head, features_of(self._workspace, index, rows, self.backbone))

    def without_features(self, index: Index, rows: Rows) -> Rows:
        """Those of the rows whose features are not kept, so that `logits_of_rows` reads their images."""
        return rows if self._workspace is None else without_features(self._workspace, index, rows, self.backbone)


def train_head(
    run: Run, workspace: Workspace, index: Index, fold: Fold, spec: ModelSpec, device: str, hub: HubAccess, located: str
) -> None:
    """Train the head of a run and finish it; `located`: the backbone on this machine.

    Raises `UsageError` where training has images of one label only.
    """
    from safetensors.numpy import save_file

    settings = spec.settings
    made = backbone(located, str(settings["layer"]), device, hub, str(settings["precision"]))
    rows = validation_rows(index, fold.train, int(settings["images"]), number_of("training", run.recipe.seed))
    labels = index.labels[rows]
    if len(np.unique(labels)) < 2:
        missing = "generated" if FAKE not in labels else "real"
        raise UsageError(f"{run.name}: its training has no {missing} images; name other data or another protocol")
    features = features_of(workspace, index, rows, made)
    read = ~np.isnan(features).any(axis=1)
    features, labels, rows = features[read], labels[read], rows[read]
    tensors: dict[str, npt.NDArray[Any]]
    head: Linear | Bank
    if k := int(settings["k"]):
        head = Bank(features, labels, k)
        tensors = {"features": head.features, "labels": head.labels}
    else:
        head = probe.fit(features, labels, index.codes("generator")[0][rows], float(settings["c"]))
        tensors = {"weight": head.weight, "bias": np.array([head.bias], np.float32)}
    with atomic_path(run.weights) as temporary:
        save_file({name: np.ascontiguousarray(value) for name, value in tensors.items()}, temporary)
    run.finish(
        {
            "model": run.recipe.model,
            "settings": dict(settings),
            "backbone": made.reference,
            "backbone_key": made.key,
            "training_images": {"real": int((labels == REAL).sum()), "generated": int((labels == FAKE).sum())},
            "skipped": int((~read).sum()),
            **_validation(workspace, index, fold, made, head, run.recipe.seed).calibrated(),
        }
    )


def _validation(
    workspace: Workspace, index: Index, fold: Fold, made: Backbone, head: Linear | Bank, seed: int
) -> Validation:
    rows = validation_rows(index, fold.validation, _VALIDATION, number_of("validation", seed))
    if not len(rows):
        return Validation(np.empty(0, np.int8), np.empty(0, np.float32))
    logits = _logits(head, features_of(workspace, index, rows, made))
    read = ~np.isnan(logits)
    return Validation(index.labels[rows][read], logits[read])


def _logits(head: Linear | Bank, features: npt.NDArray[np.float16]) -> npt.NDArray[np.float32]:
    read = ~np.isnan(features).any(axis=1)
    logits = np.full(len(features), np.nan, np.float32)
    logits[read] = head.logits(features[read])
    return logits
