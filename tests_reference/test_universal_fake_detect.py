"""UniversalFakeDetect's loaders, training and evaluation, unmodified, on what cf-export makes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from detectors.metrics.definitions import Scored
from tests_reference.conftest import Judge, Programs

#: What its list of data sets calls the folders of a set.
PATHS = ("real_path", "fake_path")
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


class Public:
    """The public code with the weights of a detector of ours."""

    def __init__(self, programs: Programs, folder: Path, run: Path) -> None:
        self._programs, self._folder = programs, folder
        folder.mkdir()
        torch.save(their_weights(run / "model.safetensors"), folder / "weights.pth")

    def validate(self, sets: dict[str, dict[str, Path]], mode: str) -> dict[str, dict[str, Any]]:
        """Labels, scores and AP of each set: of its folders `real_path` and `fake_path`."""
        listed = [
            {"key": key, "data_mode": mode, **{name: str(path) for name, path in paths.items()}}
            for key, paths in sets.items()
        ]
        found = self._run(listed, "validate.py", "--result_folder", self._folder / "result")
        return dict(zip(sets, found["sets"], strict=True))

    def train(self, tree: Path) -> dict[str, list[float]]:
        """What one epoch on `tree`/train/progan, validated on `tree`/test/progan, logs by name."""
        data = ("--data_mode", "wang2020", "--wang2020_data_path", tree, "--num_threads", 0)
        steps = ("--fix_backbone", "--niter", 1, "--batch_size", 8, "--loss_freq", 1)
        logged: dict[str, list[float]] = self._run(
            [], "train.py", *data, *steps, "--checkpoints_dir", self._folder / "checkpoints"
        )["logged"]
        return logged

    def _run(self, listed: list[dict[str, str]], *words: object) -> dict[str, Any]:
        sets = self._folder / "sets.json"
        sets.write_text(json.dumps(listed))
        found: dict[str, Any] = self._programs.theirs(
            "universal_fake_detect.py",
            "universal-fake-detect",
            self._folder,
            *(self._folder / "weights.pth", sets, *words),
        )
        return found


@pytest.mark.timeout(1800)
def test_training_runs_and_the_evaluation_gives_the_numbers_of_ours(
    programs: Programs, workspace: Path, judged: Judge, tmp_path: Path
) -> None:
    # Its loader cuts 224 pixels out without resizing, and puts a black border around what is smaller; ours resizes
    # that. In this tree nothing is smaller, so both see the same.
    programs.ours("cf-export", tmp_path / "a", "--layout", "0_real-1_fake", "--resize", 224, "--workspace", workspace)
    tree = tmp_path / "a" / "resize224"
    few = ("size=toy", "start=none", "batch=16", "micro_batch=16", "lr=0.01", "augmentation=flip", "precision=no")
    ours = judged("ufd-linear", tree, "--steps", "20", *(word for one in few for word in ("--set", one)))
    (run,) = (tmp_path / "workspace" / "detect").glob("ufd-linear-*")
    public = Public(programs, tmp_path / "theirs", run)
    generators = sorted(folder.name for folder in (tree / "test").iterdir())
    assert len(generators) == 8

    theirs = public.validate({name: dict.fromkeys(PATHS, tree / "test" / name) for name in generators}, "wang2020")
    precisions = {name: found["AP"] for name, found in theirs.items()}
    assert len({round(value, 4) for value in precisions.values()}) > 3
    mean = {None: float(np.mean([*precisions.values()]))}
    assert ours["AP"] == pytest.approx(precisions | mean, abs=1e-6)

    # Its training knows one generator, by name.
    for split in ("train", "test"):
        most = max((tree / split).iterdir(), key=lambda folder: len([*folder.rglob("*.png")]))
        (tmp_path / "progan" / split).mkdir(parents=True)
        (tmp_path / "progan" / split / "progan").symlink_to(most)
    logged = public.train(tmp_path / "progan")
    images = len([*(tmp_path / "progan" / "train" / "progan").resolve().rglob("*.png")])
    assert len(logged["loss"]) == -(-images // 8) > 1
    assert all(np.isfinite(logged["loss"]))
    assert 0 <= logged["ap"][0] <= 1

    # The other layout, with the files as they are. Of the same scores both compute the same.
    programs.ours("cf-export", tmp_path / "b", "--layout", "real-fake", "--split", "test", "--workspace", workspace)
    sets = {
        name: dict(zip(PATHS, (tmp_path / "b" / name / kind for kind in ("real", "fake")), strict=True))
        for name in generators
    }
    for name, found in public.validate(sets, "ours").items():
        labels, scores = np.array(found["labels"]), np.array(found["scores"])
        assert (labels == 0).sum() == (labels == 1).sum() == len(list((tmp_path / "b" / name / "fake").iterdir()))
        assert Scored(labels, scores).average_precision()[0] == pytest.approx(found["AP"], abs=1e-6)
