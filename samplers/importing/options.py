"""The options of an import, with the defaults that the command line and the Python interface share."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from samplers.options import StoreOption
from workspace.errors import UsageError
from workspace.hub_access import HubAccess

Match = Literal["prompt", "name", "none"]
"""How an image is tied to a real image of its source: by a caption that is equal to its prompt, by the name of its
file, or not at all."""

#: Bits of 64 in which the perceptual hashes of two images may differ that count as one.
DEFAULT_SIMILAR = 2


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """What is said of the generator, and how its images are imported. Raises `UsageError` for values that make no
    sense.

    The first group describes the generator, or what several ones have in common; a TOML file does that itself.
    """

    architecture: str | None = None
    """LatDiff, PixDiff, GAN, Other or Commercial (not known)."""
    license: str | None = None
    """Licence of the images: an SPDX id, or a text; None: none is given."""
    real_source: str | None = None
    """Real source of the images, by its name in prompts/: what they are paired with."""
    trained_on: str | None = None
    """Published name of the data set that the generator was trained on."""
    subset: str = "Manual"
    """Manual or Commercial."""
    task: str | None = None
    """text-to-image, class-conditional or unconditional; None: not said."""
    base_model: str | None = None
    """Repository of the model that it was made from."""
    link: str | None = None
    """Page of the generator, or of the images."""
    folder: str | None = None
    """Only images in these folders: a pattern such as "**/ai"."""
    generator_column: str | None = None
    """Column that says which generator an image is of."""
    generator_folders: bool = False
    """Whether the first folder says which generator an image is of."""
    image_column: str | None = None
    """Column of the images in Parquet files; None: found by its type."""
    prompt_column: str | None = None
    """Column of the prompts, in Parquet files and tables; None: found by its name."""
    prompts: str | None = None
    """Table with the prompts, by its path below the import; None: every one that is beside the images."""
    match: Match = "prompt"
    """What ties an image to a real image of `real_source`."""

    similar: int | None = DEFAULT_SIMILAR
    """An image whose perceptual hash differs from that of an earlier one of its generator in at most so many of 64 bits
    is not kept; None: all are."""
    store: StoreOption = "auto"
    """As of `SampleOptions`."""
    safety_checker: str | None = None
    """Repository of the safety checker, ORG/NAME or ORG/NAME@REVISION; None: that of this workspace, or Stable
    Diffusion's."""
    device: str = "auto"
    """auto, cpu or cuda:N: where the safety checker runs."""
    weights_dir: Path | None = None
    """Folder for the safety checker's files; None: below the system's temporary folder."""
    update: bool = False
    """Whether new generators may join a workspace that was sampled, in another round."""
    report: Path | None = None
    """File for the account of each image, as CSV; None: none."""
    endpoint: str | None = None
    """URL of the Hub. None: HF_ENDPOINT, else https://huggingface.co."""
    token: str | None = field(default=None, repr=False)
    """Access token. None: HF_TOKEN, else the one `hf auth login` stored."""

    def __post_init__(self) -> None:
        if self.match not in get_args(Match):
            raise UsageError(f"--match {self.match!r} is not one of {', '.join(get_args(Match))}")
        if self.similar is not None and not 0 <= self.similar <= 32:
            raise UsageError(f"--similar {self.similar}: must be a number of bits from 0 to 32, or none")
        if self.store not in get_args(StoreOption):
            raise UsageError(f"--store {self.store!r} is not one of {', '.join(get_args(StoreOption))}")

    @property
    def hub(self) -> HubAccess:
        """Which Hub is asked, and with which token."""
        return HubAccess(self.endpoint, self.token)
