"""What every network is: a backbone and one linear layer, images to one logit."""

import torch
from torch import nn


class Network(nn.Module):  # type: ignore[misc]
    """A backbone with a head. `frozen`: the backbone is never trained and always in evaluation mode."""

    def __init__(self, backbone: nn.Module, width: int, *, frozen: bool = False) -> None:
        """`backbone`: images (n, 3, side, side) to numbers (n, width)."""
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(width, 1)
        self.frozen = frozen
        if frozen:
            backbone.requires_grad_(False)

    def features(self, pixels: torch.Tensor) -> torch.Tensor:
        """What the head sees: (n, width)."""
        if not self.frozen:
            return self.backbone(pixels)
        # No `inference_mode`: its tensors cannot be saved for the head's gradient.
        with torch.no_grad():
            return self.backbone(pixels)

    def forward(self, pixels: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """Logits (n,), above 0 for generated; with labels (n,) the loss, so that one call serves a wrapped network."""
        logits = self.head(self.features(pixels)).squeeze(1)
        if labels is None:
            return logits
        return nn.functional.binary_cross_entropy_with_logits(logits.float(), labels)

    def parameter_groups(self) -> list[tuple[list[nn.Parameter], float]]:
        """What is trained, in groups, each with the factor of its learning rate."""
        return [([one for one in self.parameters() if one.requires_grad], 1.0)]

    def inner_parameters(self) -> list[nn.Parameter]:
        """What has an optimiser of its own, stepped several times for each step of the others; none as a rule."""
        return []

    def inner_loss(self, pixels: torch.Tensor) -> torch.Tensor:
        """The loss of these."""
        raise NotImplementedError

    def progressed(self, share: float) -> None:
        """Told before each step how much of the training is done, from 0 to 1."""

    def train(self, mode: bool = True) -> "Network":
        """As `Module.train`; a frozen backbone stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.backbone.eval()
        return self
