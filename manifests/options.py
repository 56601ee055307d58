"""The options of building, publishing and exporting, with the defaults that the command lines and the Python interface
share."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from engines.options import EngineOptions
from workspace.errors import UsageError
from workspace.hub_access import HubAccess
from workspace.size import bytes_of

Verify = Literal["quick", "full"]
"""How many image files are read whole: one in fifty, or all (and every record)."""
Edition = Literal["full", "public"]
"""Everything; or only what may be redistributed."""
Kin = Literal["separate", "ignore"]
"""Generators related to a held out one are in no split; or, as in the study, they are for training."""
LayoutName = Literal["viewer", "community-forensics"]
"""Columns of the published files: all of ours, or exactly those of the study's dataset."""


TreeName = Literal["real-fake", "0_real-1_fake", "genimage", "imagefolder", "imagefolder-generators"]
"""Layouts of folder trees (manifests/exporting/trees.py)."""
SplitName = Literal["train", "validation", "test"]


_REPRODUCE = re.compile(r"reproduce=([1-9][0-9]{0,8})(?:@([0-9]{1,18}))?", re.ASCII)
#: What git takes for a tag, without what it or a reader could take for something else: a branch or a commit.
_TAG = re.compile(
    r"(?!main$|cf-publish$|[0-9a-f]{7,40}$)(?!.*\.\.)(?!.*\.lock$)[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9_-])?",
    re.ASCII,
)
_ROUNDS = re.compile(r"1(?:(?:-|\.\.)([1-9][0-9]{0,4}))?", re.ASCII)

DEFAULT_LICENSES = ("family=open", "family=openrail")
"""What the public edition allows where no licence is named: use for any purpose, or for any but the listed harms."""


@dataclass(frozen=True, kw_only=True)
class BuildOptions(EngineOptions):
    """How the manifest is built. Raises `UsageError` for values that make no sense."""

    verify: Verify = "quick"
    """quick: read one image file in fifty; full: every file and every record."""
    reproduce: int = 0
    """Random rows of generated images that are made again, which must be equal; 0: none."""
    reproduce_seed: int = 0
    """Random seed: each value chooses other rows."""
    memory: str = "320MB"
    """Memory the join may use before it spills to the disk."""
    holdout: tuple[str, ...] = ()
    """Generators kept for evaluation: name=ORG/NAME, family=ORG/BASE, architecture=PixDiff or after=2026-01-31; empty:
    those that `cf-sample --holdout` named."""
    validation: tuple[str, ...] = ()
    """Generators kept for validation, as `holdout`; empty: those that `cf-sample --validation` named."""
    kin: Kin = "separate"
    """What becomes of generators that are related to a held out one. separate: they are in no split; ignore: they are
    for training."""
    edition: Edition = "full"
    """full: everything; public: only what may be redistributed, and a list of the other real images."""
    rounds: str | None = None
    """The rounds of the workspace that the manifest has: 1-N, such as "1-2"; None: all."""
    real_per_generated: float = 1.0
    """Real images a generated one: where the prompted ones are fewer, further ones of their sources are added; 0: none.
    """
    public_evaluation: bool = False
    """Whether the further real images of the evaluation set are such that may be passed on, as many as generated ones.
    """
    license_allow: tuple[str, ...] = ()
    """Licences of the public edition's generators, as cards name them, none, or family=NAME; empty: those of
    `DEFAULT_LICENSES`."""
    audit: bool = False
    """Whether it is measured how well file facts and simple statistics of pixels tell real from generated images."""
    matched: bool = False
    """Whether pairs of a real and a generated image with like files are chosen; they are audited too."""
    endpoint: str | None = None
    """URL of the Hub that real images are read from where a locator names it. None: HF_ENDPOINT, else
    https://huggingface.co."""
    token: str | None = field(default=None, repr=False)
    """Access token. None: HF_TOKEN, else the one `hf auth login` stored."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _one_of("--verify", self.verify, get_args(Verify))
        if self.reproduce < 0:
            raise UsageError(f"--verify reproduce={self.reproduce}: must be a number of rows, such as 50")
        _one_of("--edition", self.edition, get_args(Edition))
        if not 0 <= self.real_per_generated < math.inf:
            raise UsageError(
                f"--real-per-generated {self.real_per_generated}: must be a number such as 1, or 0 for none"
            )
        if self.license_allow and self.edition != "public":
            raise UsageError("--license-allow selects the generators of the public edition: add --edition public")
        _one_of("--kin", self.kin, get_args(Kin))
        if self.rounds is not None:
            last_round(self.rounds)
        if self.license_allow or self.holdout or self.validation:
            # Imported here: what the texts mean is known beside the catalogue's record, which takes long to import.
            from manifests.choices import Choices

            Choices.of(self)

    @property
    def hub(self) -> HubAccess:
        """Which Hub is asked, and with which token."""
        return HubAccess(self.endpoint, self.token)


@dataclass(frozen=True, kw_only=True)
class PublishOptions(EngineOptions):
    """How the dataset is published. Raises `UsageError` for values that make no sense."""

    layout: LayoutName = "viewer"
    """viewer: all columns, images shown on the Hub; community-forensics: the study's columns."""
    public: bool = False
    """Make a new dataset public; otherwise it is private."""
    dry_run: bool = False
    """Say what would be sent, and send nothing."""
    tag: str | None = None
    """Name of this version on the Hub; None: round-N, for the manifest of rounds 1 to N."""
    squash: bool = False
    """Replace the history of the dataset by one commit, so that removed files are in no former version. It cannot be
    undone."""
    max_shard_size: int | str = "500MB"
    """Largest size of one Parquet file: bytes, or a text such as "500MB"."""
    max_staging: int | str = "4GB"
    """Space on this disk for shards that wait to be sent; an interruption costs at most that."""
    endpoint: str | None = None
    """URL of the Hub. None: HF_ENDPOINT, else https://huggingface.co."""
    token: str | None = field(default=None, repr=False)
    """Access token that may write. None: HF_TOKEN, else the one `hf auth login` stored."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _one_of("--layout", self.layout, get_args(LayoutName))
        if self.tag is not None and not _TAG.fullmatch(self.tag):
            raise UsageError(
                f"--tag {self.tag!r}: use at most 100 letters, digits, '.', '_' and '-' (no two dots together), begin "
                "with a letter or digit, and name neither a branch nor a commit"
            )
        if self.staging_bytes < self.shard_bytes:
            raise UsageError("--max-staging must hold one shard: make it larger, or --max-shard-size smaller")

    @property
    def shard_bytes(self) -> int:
        """`max_shard_size` in bytes."""
        return bytes_of(self.max_shard_size, "--max-shard-size")

    @property
    def staging_bytes(self) -> int:
        """`max_staging` in bytes."""
        return bytes_of(self.max_staging, "--max-staging")

    @property
    def hub(self) -> HubAccess:
        """Which Hub is asked, and with which token."""
        return HubAccess(self.endpoint, self.token)


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """How images are exported as a folder tree. Raises `UsageError` for values that make no sense."""

    layout: TreeName
    """real-fake, 0_real-1_fake, genimage, imagefolder or imagefolder-generators."""
    split: tuple[str, ...] = ()
    """Which splits (train, validation, test); empty: all that the manifest has."""
    link: bool = False
    """Make hard links to files of their own, where the file system allows it, instead of copies."""
    jpeg: tuple[int, ...] = ()
    """Qualities, 1 to 100: for each one more tree with all images encoded as JPEG."""
    resize: str | None = None
    """Shorter side, such as "256", or width and height, such as "256x256", in pixels: in more trees all images have
    this size."""
    endpoint: str | None = None
    """URL of the Hub that real images are read from where a locator names it. None: HF_ENDPOINT, else
    https://huggingface.co."""
    token: str | None = field(default=None, repr=False)
    """Access token. None: HF_TOKEN, else the one `hf auth login` stored."""

    def __post_init__(self) -> None:
        _one_of("--layout", self.layout, get_args(TreeName))
        for split in self.split:
            _one_of("--split", split, get_args(SplitName))
        # Imported here: nothing else needs them.
        from manifests.exporting.variants import variants_of

        variants_of(self.resize, self.jpeg)

    @property
    def hub(self) -> HubAccess:
        """Which Hub is asked, and with which token."""
        return HubAccess(self.endpoint, self.token)


def parse_verify(texts: Sequence[str]) -> dict[str, Any]:
    """The options of building in texts such as `full` and `reproduce=50@SEED`. Raises `UsageError`."""
    found: dict[str, Any] = {}
    for text in texts:
        match = _REPRODUCE.fullmatch(text)
        if match is None:
            _one_of("--verify", text, (*get_args(Verify), "reproduce=NUMBER[@SEED]"))
            found["verify"] = text
        else:
            found |= {"reproduce": int(match[1]), "reproduce_seed": int(match[2] or 0)}
    return found


def last_round(rounds: str) -> int:
    """The last round of a text such as 1-2 or 1..2. Raises `UsageError` for any other text."""
    found = _ROUNDS.fullmatch(rounds.strip())
    if found is None:
        raise UsageError(f"--rounds {rounds!r}: must be 1-N, such as 1-2: a manifest has all rounds from the first on")
    return int(found[1] or 1)


def _one_of(option: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UsageError(f"{option} {value!r} is not one of {', '.join(known)}")
