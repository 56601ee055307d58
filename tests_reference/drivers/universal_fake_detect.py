"""`python universal_fake_detect.py CODE OUTCOME WEIGHTS FOLDERS SCRIPT ARGUMENTS...`: runs validate.py or train.py of
UniversalFakeDetect on a CPU.

WEIGHTS: a file of torch with the tensors of a small CLIP under OpenAI's names (`visual`), its `heads`, and the linear
layer (`fc`). FOLDERS: JSON, a list of the data sets as `dataset_paths.py` lists them. OUTCOME gets, as
JSON, the labels, scores and average precision of each set that was validated (`sets`), and what train.py logs by name
(`logged`).

Replaced from outside: the GPU, the download of CLIP (the code's own network with smaller sizes), its list of data sets,
modules that newer versions of setuptools and scipy no longer have, `util` and `earlystop`, which the repository lacks,
and the log of tensorboardX.
"""

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import outside
import packaging.version
import scipy.ndimage
import sklearn.metrics
import torch


class Clip(torch.nn.Module):
    """The image side of the code's CLIP."""

    def __init__(self, weights: dict[str, Any]) -> None:
        from models.clip.model import VisionTransformer

        super().__init__()
        state = weights["visual"]
        width, _, patch, _ = state["conv1.weight"].shape
        positions = state["positional_embedding"].shape[0] - 1
        self.visual = VisionTransformer(
            input_resolution=patch * round(positions**0.5),
            patch_size=patch,
            width=width,
            layers=len([name for name in state if name.endswith("attn.in_proj_weight")]),
            heads=weights["heads"],
            output_dim=state["proj"].shape[1],
        )
        self.visual.load_state_dict(state)

    def encode_image(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.visual(pixels)


class NeverStopping:
    """Early stopping that does not stop: one epoch is trained."""

    early_stop = False

    def __init__(self, **_: Any) -> None: ...

    def __call__(self, accuracy: float, model: Any) -> None: ...


def replace_missing(logged: dict[str, list[float]]) -> None:
    """Modules that train.py imports and that are not there; what it logs goes to `logged`."""

    class Writer:
        def __init__(self, _: str) -> None: ...

        def add_scalar(self, name: str, value: Any, step: int) -> None:
            logged.setdefault(name, []).append(float(value))

    outside.module("util", mkdirs=lambda folder: Path(folder).mkdir(parents=True, exist_ok=True))
    outside.module("earlystop", EarlyStopping=NeverStopping)
    outside.module("tensorboardX", SummaryWriter=Writer)
    outside.module("skimage")
    outside.module("skimage.io", imread=None)


def main() -> None:
    code, outcome, file, folders, script, *arguments = sys.argv[1:]
    sys.path.insert(0, code)
    outside.without_gpu()
    outside.module("pkg_resources", packaging=packaging)
    outside.module("scipy.ndimage.filters", gaussian_filter=scipy.ndimage.gaussian_filter)
    outside.module("dataset_paths", DATASET_PATHS=json.loads(Path(folders).read_text()))
    logged: dict[str, list[float]] = {}
    replace_missing(logged)
    from models import clip_models

    weights = torch.load(file)
    clip_models.clip.load = lambda name, device: (Clip(weights), None)
    clip_models.CHANNELS["ViT-L/14"] = weights["visual"]["proj"].shape[1]
    found: list[dict[str, Any]] = []
    compute = sklearn.metrics.average_precision_score

    def seen(labels: Any, scores: Any) -> Any:
        value = compute(labels, scores)
        found.append({"labels": labels.tolist(), "scores": scores.tolist(), "AP": float(value)})
        return value

    sklearn.metrics.average_precision_score = seen
    if script == "validate.py":
        head = Path(outcome).with_suffix(".fc.pth")
        torch.save(weights["fc"], head)
        arguments += ["--ckpt", str(head)]
    sys.argv = [script, "--arch", "CLIP:ViT-L/14", *arguments]
    runpy.run_path(str(Path(code, script)), run_name="__main__")
    Path(outcome).write_text(json.dumps({"sets": found, "logged": logged}))


if __name__ == "__main__":
    main()
