"""A small network for tests and the demo: a high-pass filter and three convolutions, about 15,000 parameters.

The filter is a fixed Laplacian of each channel: what generators leave is in the high frequencies, and so small a
network would spend all its capacity on the picture (Cozzolino et al., 2017, filter likewise).
"""

import torch
from torch import nn

#: Numbers that the head sees.
WIDTH = 48


class Backbone(nn.Module):  # type: ignore[misc]
    """Images (n, 3, side, side) to (n, WIDTH). Without batch statistics: a batch in parts is the same batch."""

    def __init__(self) -> None:
        super().__init__()
        laplacian = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])
        self.register_buffer("laplacian", laplacian.expand(3, 1, 3, 3).clone())
        layers: list[nn.Module] = []
        for inputs, outputs, stride in ((3, 16, 1), (16, 24, 2), (24, WIDTH, 2)):
            layers += [nn.Conv2d(inputs, outputs, 3, stride, 1), nn.GroupNorm(8, outputs), nn.ReLU()]
        self.layers = nn.Sequential(*layers)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """The mean over all positions."""
        filtered = nn.functional.conv2d(pixels, self.laplacian, groups=3)
        return self.layers(filtered).mean((2, 3))
