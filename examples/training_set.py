"""Read a workspace as a training set in PyTorch: images as tensors, and 1 for generated or 0 for real.

python training_set.py WORKSPACE
"""

import sys

import numpy as np
import torch
from torch.utils.data import DataLoader

import community_forensics as cf


class Images:
    """All images of one split, resized to 64 x 64: 3 x 64 x 64 values from 0 to 1."""

    def __init__(self, workspace: str, split: str) -> None:
        rows = cf.read_manifest(workspace, ["label", "split", "path"])
        self.workspace, self.rows = workspace, rows[rows["split"] == split]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> tuple[torch.Tensor, int]:
        row = self.rows.iloc[number]
        image = cf.open_image(self.workspace, row["path"]).convert("RGB").resize((64, 64))
        return torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255, int(row["label"])


for images, labels in DataLoader(Images(sys.argv[1], "train"), batch_size=8, shuffle=True):
    print(tuple(images.shape), labels.tolist())
    break
