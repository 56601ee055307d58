"""`python universal_fake_detect.py CODE OUTCOME WEIGHTS FOLDERS ARGUMENTS...`: validate.py of UniversalFakeDetect.

WEIGHTS: a file of torch with the tensors of a small CLIP under OpenAI's names (`visual`), its `heads`, and the linear
layer (`fc`). FOLDERS: JSON, a list of the data sets as `dataset_paths.py` lists them. OUTCOME gets, for each data set,
the labels, the scores and the average precision that validate.py computed, as JSON.

Replaced from outside: the GPU, the download of CLIP (the code's own network with smaller sizes), its list of data sets,
and modules that newer versions of setuptools and scipy no longer have.
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


def main() -> None:
    code, outcome, file, folders, *arguments = sys.argv[1:]
    sys.path.insert(0, code)
    outside.without_gpu()
    outside.module("pkg_resources", packaging=packaging)
    outside.module("scipy.ndimage.filters", gaussian_filter=scipy.ndimage.gaussian_filter)
    outside.module("dataset_paths", DATASET_PATHS=json.loads(Path(folders).read_text()))
    from models import clip_models

    weights = torch.load(file)
    clip_models.clip.load = lambda name, device: (Clip(weights), None)
    clip_models.CHANNELS["ViT-L/14"] = weights["visual"]["proj"].shape[1]
    head = Path(outcome).with_suffix(".fc.pth")
    torch.save(weights["fc"], head)

    found: list[dict[str, Any]] = []
    compute = sklearn.metrics.average_precision_score

    def seen(labels: Any, scores: Any) -> Any:
        value = compute(labels, scores)
        found.append({"labels": labels.tolist(), "scores": scores.tolist(), "AP": float(value)})
        return value

    sklearn.metrics.average_precision_score = seen
    sys.argv = ["validate.py", "--arch", "CLIP:ViT-L/14", "--ckpt", str(head), *arguments]
    runpy.run_path(str(Path(code, "validate.py")), run_name="__main__")
    Path(outcome).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
