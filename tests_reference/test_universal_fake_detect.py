"""UniversalFakeDetect's loader and evaluation, unmodified, on what cf-export makes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from detectors.metrics.definitions import Scored
from tests_reference.conftest import Judge, Programs

#: Of the small CLIP, `size=toy`.
HEADS = 2
#: transformers' names of CLIP's image side, and OpenAI's.
_NAMES = (
    ("embeddings.class_embedding", "class_embedding"),
    ("embeddings.patch_embedding.", "conv1."),
    ("embeddings.position_embedding.weight", "positional_embedding"),
    ("pre_layrnorm.", "ln_pre."),
    ("post_layernorm.", "ln_post."),
    ("encoder.layers.", "transformer.resblocks."),
    (".layer_norm", ".ln_"),
    (".self_attn.", ".attn."),
    (".mlp.fc1.", ".mlp.c_fc."),
    (".mlp.fc2.", ".mlp.c_proj."),
)


def their_weights(ours: Path) -> dict[str, Any]:
    """The weights of our detector under the names of the public code."""
    state = load_file(ours)
    prefix = "backbone.model.vision_model."
    visual = {"proj": state["backbone.model.visual_projection.weight"].T.contiguous()}
    parts: dict[str, list[torch.Tensor]] = {}
    for name in sorted(state):
        if not name.startswith(prefix):
            continue
        theirs = name.removeprefix(prefix)
        for old, new in _NAMES:
            theirs = theirs.replace(old, new)
        for part in "qkv":
            theirs = theirs.replace(f".{part}_proj.", ".in_proj_")
        parts.setdefault(theirs, []).append(state[name])
    # Query, key and value are one tensor there; sorted by name they come as k, q, v.
    for name, tensors in parts.items():
        visual[name] = torch.cat([tensors[place] for place in (1, 0, 2)]) if len(tensors) == 3 else tensors[0]
    return {"visual": visual, "heads": HEADS, "fc": {"weight": state["head.weight"], "bias": state["head.bias"]}}


class Validation:
    """validate.py with the weights of a detector of ours."""

    def __init__(self, programs: Programs, folder: Path, run: Path) -> None:
        self._programs, self._folder = programs, folder
        folder.mkdir()
        torch.save(their_weights(run / "model.safetensors"), folder / "weights.pth")

    def __call__(self, sets: dict[str, dict[str, Path]], mode: str) -> dict[str, dict[str, Any]]:
        """Labels, scores and AP of each set: of its folders `real_path` and `fake_path`."""
        listed = [
            {"key": key, "data_mode": mode, **{name: str(path) for name, path in paths.items()}}
            for key, paths in sets.items()
        ]
        (self._folder / "sets.json").write_text(json.dumps(listed))
        words = (self._folder / "weights.pth", self._folder / "sets.json", "--result_folder", self._folder / "result")
        found = self._programs.theirs("universal_fake_detect.py", "universal-fake-detect", self._folder, *words)
        return dict(zip(sets, found, strict=True))


@pytest.mark.timeout(1800)
def test_the_evaluation_gives_the_numbers_of_ours(
    programs: Programs, workspace: Path, judged: Judge, tmp_path: Path
) -> None:
    # Its loader cuts 224 pixels out without resizing, and puts a black border around what is smaller; ours resizes
    # that. In this tree nothing is smaller, so both see the same.
    programs.ours("cf-export", tmp_path / "a", "--layout", "0_real-1_fake", "--resize", 224, "--workspace", workspace)
    tree = tmp_path / "a" / "resize224"
    few = ("size=toy", "start=none", "batch=16", "micro_batch=16", "lr=0.01", "augmentation=flip", "precision=no")
    ours = judged("ufd-linear", tree, "--steps", "20", *(word for one in few for word in ("--set", one)))
    (run,) = (tmp_path / "workspace" / "detect").glob("ufd-linear-*")
    validate = Validation(programs, tmp_path / "theirs", run)
    generators = sorted(folder.name for folder in (tree / "test").iterdir())
    assert len(generators) == 8

    theirs = validate({name: dict.fromkeys(PATHS, tree / "test" / name) for name in generators}, "wang2020")
    precisions = {name: found["AP"] for name, found in theirs.items()}
    assert len({round(value, 4) for value in precisions.values()}) > 3
    mean = {None: float(np.mean([*precisions.values()]))}
    assert ours["AP"] == pytest.approx(precisions | mean, abs=1e-6)

    # The other layout, with the files as they are. Of the same scores both compute the same.
    programs.ours("cf-export", tmp_path / "b", "--layout", "real-fake", "--split", "test", "--workspace", workspace)
    sets = {
        name: dict(zip(PATHS, (tmp_path / "b" / name / kind for kind in ("real", "fake")), strict=True))
        for name in generators
    }
    for name, found in validate(sets, "ours").items():
        labels, scores = np.array(found["labels"]), np.array(found["scores"])
        assert (labels == 0).sum() == (labels == 1).sum() == len(list((tmp_path / "b" / name / "fake").iterdir()))
        assert Scored(labels, scores).average_precision()[0] == pytest.approx(found["AP"], abs=1e-6)


PATHS = ("real_path", "fake_path")
