"""The options of captioning, with the defaults that the command line and the Python interface share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from engines.options import EngineOptions
from workspace.errors import UsageError
from workspace.hub_access import HubAccess
from workspace.shard import Shard

DEFAULT_CAPTIONER = "Salesforce/blip-image-captioning-base@82a37760796d32b1411fe092ab5d4e227313294b"
"""BLIP base, fine-tuned on COCO's captions, at the commit that was the head of `main` in 2025."""

Backend = Literal["transformers", "lavis"]
"""What runs a captioner: transformers, or, for BLIP, the code of its authors."""


@dataclass(frozen=True, kw_only=True)
class CaptionOptions(EngineOptions):
    """How real images are captioned. Raises `UsageError` for invalid values.

    All of them except `roots`, `workers`, `device`, `shard`, `update`, `endpoint`, `token` and those of the engine are
    in the workspace's recipe.
    """

    limit: int | None = None
    """Images of all sources together at most; None: all."""
    max_per_source: int | None = None
    """Images of each source at most; None: all."""
    prompts: Sequence[str | Path] = ()
    """Files of own prompts, each [NAME=]FILE: text, CSV or JSON lines (docs/captioning.md). All are used: the limits
    are for images."""
    roots: Mapping[str, str | Path] = field(default_factory=dict)
    """Folders of real images on this machine, by the name of the root: that of a source, of a set of own prompts, or of
    a folder that holds several. Without sources and prompts they are where those of the workspace are now."""
    copy: bool = False
    """Copy the images into the workspace, bytes unchanged."""
    captioner: str = DEFAULT_CAPTIONER
    """The captioner, an image-to-text model of transformers: ORG/NAME, ORG/NAME@REVISION or a folder."""
    backend: Backend = "transformers"
    """What runs the captioner."""
    batch_size: int = 8
    """Images captioned in one call."""
    part_size: int = 1000
    """Images of one part file; an interruption costs one part at most."""
    workers: int | None = None
    """Processes that decode images; None: one for each core, 16 at most."""
    image_column: str | None = None
    """The column of Parquet files with the images, or of a table of captions with their file names; None: found."""
    caption_column: str | None = None
    """The column, or key in JSON, with the captions; None: the first of the known names."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, ..."""
    shard: str = "1/1"
    """Which share of the parts this process takes, counted from 1: "3/16" is the third of sixteen; "auto": what the
    batch system tells this process."""
    update: bool = False
    """Whether sources, images and settings may differ from the workspace's: what they add is then another round."""
    endpoint: str | None = None
    """URL of the Hub. None: HF_ENDPOINT, else https://huggingface.co."""
    token: str | None = field(default=None, repr=False)
    """Access token. None: HF_TOKEN, else the one `hf auth login` stored."""

    def __post_init__(self) -> None:
        super().__post_init__()
        Shard.parse(self.shard)
        if self.backend not in get_args(Backend):
            raise UsageError(f"--backend {self.backend!r} is not one of {', '.join(get_args(Backend))}")
        if isinstance(self.prompts, str | Path):
            raise UsageError(f'prompts are a sequence of files, such as ("{self.prompts}",)')
        for name in ("image_column", "caption_column"):
            if getattr(self, name) == "":
                raise UsageError(f"--{name.replace('_', '-')} must not be empty")
        for name in ("limit", "max_per_source", "batch_size", "part_size", "workers"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"--{name.replace('_', '-')} must be at least 1")

    @property
    def hub(self) -> HubAccess:
        """The Hub that sources and the captioner are read from, and the token for it."""
        return HubAccess(self.endpoint, self.token)
