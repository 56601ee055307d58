"""The Artifact Purification Network (Meng et al. 2024), from the paper: what a generator leaves is separated from the
picture, once in the frequencies and once in the features of a transformer, and a bound of what the two parts share is
pushed down.

Frequency: amplitude and phase of the image's spectrum propose bands on each axis; the bands of an axis make a mask, and
the masks of both a cross. What is inside is the artifact-related image, the rest is the irrelevant one. Space: features
of a Swin transformer are projected on two subspaces, whose bases are learned and kept orthogonal. The means of both
branches are the two features of an image, and the artifact-related one is classified.

The paper's masks are hard, so that no loss tells the proposals where a band should be. Here their edges are sigmoids,
which become steeper as training goes on; `apn.hard_masks` is the paper's letter.
"""

from typing import Any

import torch
from torch import nn

from detectors.models.networks.network import Network

#: Bands are at least so wide, of an axis from 0 to 1 (eps of the band loss).
_NARROWEST = 0.01
#: Width of a mask's edge, of an axis from 0 to 1, at the begin and at the end of training.
_SOFT, _SHARP = 0.05, 0.005
#: Learning rate of the bases: 1e-7, where that of the others is 1e-4.
_BASES_SCALE = 1e-3


class Proposals(nn.Module):  # type: ignore[misc]
    """Bands on both axes of a spectrum, and how sure each is."""

    def __init__(self, number: int, width: int) -> None:
        """`number` of bands on each axis (K); `width`: channels, a multiple of 8."""
        super().__init__()
        self.number = number
        self.first = nn.Sequential(nn.BatchNorm2d(6), nn.Conv2d(6, width, 3, padding=1), nn.ReLU())
        self.residual = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1))
            for _ in range(2)
        )
        self.attention = nn.MultiheadAttention(width, 8, batch_first=True)
        self.bands = nn.Linear(width, 2)
        self.confidence = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1), nn.Sigmoid()
        )
        nn.init.zeros_(self.bands.bias)
        nn.init.normal_(self.bands.weight, std=1e-2)
        starts = torch.arange(number) / number
        self.register_buffer("prior", torch.stack([starts, starts + 1 / number], -1), persistent=False)

    def forward(self, spectrum: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Bands (n, 2 axes, K, 2), each from c_1 to c_2 on an axis from 0 to 1, and confidences (n, 2 axes, K).

        `spectrum`: amplitude and phase (n, 6, rows, columns), of frequencies from 0 up on both axes.
        """
        seen = self.first(spectrum)
        for block in self.residual:
            seen = torch.relu(seen + block(seen))
        # Each axis by the mean over the other one, in K pieces.
        axes = [nn.functional.adaptive_avg_pool1d(seen.mean(dim), self.number) for dim in (3, 2)]
        tokens = torch.cat(axes, 2).transpose(1, 2)
        tokens = tokens + self.attention(tokens, tokens, tokens, need_weights=False)[0]
        tokens = tokens.unflatten(1, (2, self.number))
        # A band may move by one and a half times its prior width.
        bands = self.prior + 1.5 / self.number * torch.tanh(self.bands(tokens))
        return bands, self.confidence(tokens).squeeze(-1)


class FrequencyBranch(nn.Module):  # type: ignore[misc]
    """An image to its artifact-related and its irrelevant feature, by masks on its spectrum."""

    def __init__(self, proposals: Proposals, related: nn.Module, irrelevant: nn.Module, hard: bool) -> None:
        """`related`, `irrelevant`: images to features."""
        super().__init__()
        self.proposals, self.related, self.irrelevant, self.hard = proposals, related, irrelevant, hard
        self.register_buffer("edge", torch.tensor(_SOFT))

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Both features (n, width), and the bands."""
        related, irrelevant, bands = self.split(pixels)
        return self.related(related), self.irrelevant(irrelevant), bands

    def split(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The two images, whose sum is the image, and the bands."""
        # Transforms are not defined in half precision for every size.
        with torch.autocast(pixels.device.type, enabled=False):
            spectrum = torch.fft.rfft2(pixels.float())
            rows = pixels.shape[2]
            half = spectrum[:, :, : rows // 2 + 1]  # the other half are the same frequencies, negative
            facts = torch.cat([torch.log1p(half.abs()), half.angle()], 1)
            bands, sure = self.proposals(facts)
            mask = self.mask(bands, sure, rows, spectrum.shape[3])
            related = torch.fft.irfft2(spectrum * mask, s=pixels.shape[2:])
        return related, pixels - related, bands

    def mask(self, bands: torch.Tensor, sure: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
        """The cross of both axes (n, 1, rows, columns), 0 to 1: a frequency is inside where its row or its column is in
        a band, as far as the band is sure."""
        vertical = torch.fft.fftfreq(rows, device=bands.device).abs() * 2
        horizontal = torch.linspace(0, 1, columns, device=bands.device)
        outside = [
            (1 - sure[:, axis, :, None] * self._inside(bands[:, axis], places)).prod(1)
            for axis, places in enumerate((vertical, horizontal))
        ]
        return (1 - outside[0][:, :, None] * outside[1][:, None, :])[:, None]

    def _inside(self, bands: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """How far each place is in each band: (n, K, places)."""
        above, below = places - bands[..., :1], bands[..., 1:] - places
        if self.hard:
            return ((above >= 0) & (below >= 0)).to(bands.dtype)
        return torch.sigmoid(above / self.edge) * torch.sigmoid(below / self.edge)


class SpaceBranch(nn.Module):  # type: ignore[misc]
    """An image to both features, by projections of a transformer's features on two subspaces."""

    def __init__(self, transformer: nn.Module, inputs: int, width: int) -> None:
        """`transformer`: images to positions (n, positions, inputs)."""
        super().__init__()
        self.transformer = transformer
        self.narrow = nn.Linear(inputs, width)
        identity = torch.eye(width)
        self.related = nn.Parameter(identity[:, : width // 2].clone())  # [I, Z]
        self.irrelevant = nn.Parameter(identity[:, width // 2 :].clone())  # [Z, I]

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Both features (n, width)."""
        seen = self.narrow(self.transformer(pixels)).mean(1)
        related, irrelevant = ((seen @ basis) @ basis.T for basis in (self.related, self.irrelevant))
        return related, irrelevant

    def basis_loss(self) -> torch.Tensor:
        """How far the bases are from orthonormal, each and to one another: the mean square."""
        both = torch.cat([self.related, self.irrelevant], 1)
        return (both.T @ both - torch.eye(both.shape[1], device=both.device)).square().mean()


class SharedInformation(nn.Module):  # type: ignore[misc]
    """An upper bound of the mutual information of two features: vCLUB (Cheng et al. 2020), with a Gaussian q_theta."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mean = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
        self.log_variance = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.Tanh())

    def estimator_loss(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """The negative log-likelihood of `second` given `first`, but for a constant."""
        mean, log_variance = self.mean(first), self.log_variance(first)
        return ((mean - second).square() / log_variance.exp() + log_variance).mean()

    def bound(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """The bound, in nats: how much more likely the features of one image are together than those of any two."""
        mean, precision = self.mean(first), (-self.log_variance(first)).exp()
        own = (mean - second).square()
        # The mean over all j of (mean_i - second_j)^2, by its two moments.
        others = mean.square() - 2 * mean * second.mean(0) + second.square().mean(0)
        return ((others - own) * precision / 2).sum(1).mean()


class Backbone(nn.Module):  # type: ignore[misc]
    """Both branches and their fusion."""

    def __init__(self, frequency: FrequencyBranch, space: SpaceBranch, width: int) -> None:
        super().__init__()
        self.frequency, self.space, self.shared = frequency, space, SharedInformation(width)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """The artifact-related feature (n, width)."""
        return self.parts(pixels)[0]

    def parts(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
        """The artifact-related and the irrelevant feature, and the losses that need no label."""
        related, irrelevant, bands = self.frequency(pixels)
        space_related, space_irrelevant = self.space(pixels)
        losses = {
            "band": torch.relu(_NARROWEST - (bands[..., 1] - bands[..., 0])).mean(),
            "basis": self.space.basis_loss(),
            "align": nn.functional.mse_loss(related, space_related)
            + nn.functional.mse_loss(irrelevant, space_irrelevant),
        }
        return (related + space_related) / 2, (irrelevant + space_irrelevant) / 2, losses


class ArtifactPurification(Network):
    """The whole network."""

    backbone: Backbone

    def forward(self, pixels: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """As `Network.forward`; the loss is the sum of all."""
        if labels is None:
            return self.head(self.backbone(pixels)).squeeze(1)
        return sum(self.losses(pixels, labels).values(), torch.zeros((), device=pixels.device))

    def losses(self, pixels: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Each loss by name."""
        related, irrelevant, losses = self.backbone.parts(pixels)
        logits = self.head(related).squeeze(1)
        classification = nn.functional.binary_cross_entropy_with_logits(logits.float(), labels)
        shared = self.backbone.shared.bound(related, irrelevant)
        return {"classification": classification, "shared": torch.relu(shared), **losses}

    def parameter_groups(self) -> list[tuple[list[nn.Parameter], float]]:
        """As `Network.parameter_groups`: the bases learn slowly, the estimator has an optimiser of its own."""
        space = self.backbone.space
        bases = [space.related, space.irrelevant]
        own = {id(one) for one in (*bases, *self.inner_parameters())}
        return [([one for one in self.parameters() if id(one) not in own], 1.0), (bases, _BASES_SCALE)]

    def inner_parameters(self) -> list[nn.Parameter]:
        """The estimator's."""
        return list(self.backbone.shared.parameters())

    def inner_loss(self, pixels: torch.Tensor) -> torch.Tensor:
        """The estimator's, whose gradient reaches nothing else."""
        with torch.no_grad():
            related, irrelevant, _ = self.backbone.parts(pixels)
        return self.backbone.shared.estimator_loss(related, irrelevant)

    def progressed(self, share: float) -> None:
        """Masks are sharper the more of the training is done, from 0 to 1."""
        self.backbone.frequency.edge.fill_(_SOFT * (_SHARP / _SOFT) ** share)


def build(side: int, proposals: int, hard: bool, toy: bool = False) -> ArtifactPurification:
    """The network for images of so many pixels a side; `toy`: of a few thousand parameters."""
    from transformers import ResNetConfig, ResNetModel, SwinConfig, SwinModel

    width, channels = (16, 8) if toy else (256, 32)
    residual: dict[str, Any] = {"layer_type": "basic", "depths": [2, 2, 2, 2], "hidden_sizes": [64, 128, 256, 512]}
    swin: dict[str, Any] = {"embed_dim": 96, "depths": [2, 2, 6, 2], "num_heads": [3, 6, 12, 24], "window_size": 7}
    if toy:
        residual = {"layer_type": "basic", "depths": [1, 1], "hidden_sizes": [8, 16], "embedding_size": 8}
        swin = {"embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2], "window_size": 7}

    def resnet() -> nn.Module:
        config = ResNetConfig(**residual)
        return nn.Sequential(_Output(ResNetModel(config), "pooler_output"), nn.Linear(config.hidden_sizes[-1], width))

    config = SwinConfig(image_size=side, drop_path_rate=0.0, **swin)
    transformer = SwinModel(config, add_pooling_layer=False)
    space = SpaceBranch(_Output(transformer, "last_hidden_state"), transformer.num_features, width)
    frequency = FrequencyBranch(Proposals(proposals, channels), resnet(), resnet(), hard)
    return ArtifactPurification(Backbone(frequency, space, width), width)


class _Output(nn.Module):  # type: ignore[misc]
    """One of the outputs of a model of transformers; a pooled one flat."""

    def __init__(self, model: nn.Module, name: str) -> None:
        super().__init__()
        self.model, self.name = model, name

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        found = getattr(self.model(pixel_values=pixels), self.name)
        return found.flatten(1) if found.ndim == 4 else found
