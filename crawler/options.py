"""The options of a crawl, with the defaults of the command line and the Python interface."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from workspace.errors import UsageError
from workspace.hub_access import HubAccess
from workspace.size import bytes_of

Kind = Literal["checkpoint", "lora", "textual-inversion"]
KINDS: tuple[Kind, ...] = get_args(Kind)

#: Models at most where no limit is given: the size of the study's Systematic set.
DEFAULT_LIMIT = 5000


@dataclass(frozen=True, kw_only=True)
class ChoiceOptions:
    """Which generators are left out, in the crawl and in sampling alike (`crawler/choice.py`)."""

    exclude: tuple[str, ...] = ()
    """Not these generators: ORG/NAME, shell patterns over ORG/NAME, or @FILE with one of these a line."""
    license_allow: tuple[str, ...] = ()
    """Only generators with one of these licences in effect: a licence such as mit, a family such as openrail or
    unknown, none (none is given); several may be in one text, separated by commas. None: all."""
    license_deny: tuple[str, ...] = ()
    """No generators with one of these licences in effect."""
    max_size: int | str | None = None
    """Largest download of a generator, its base model included: bytes, or a text such as "20GB"; None: no limit."""
    architecture: tuple[str, ...] = ()
    """Only these architectures (LatDiff, PixDiff, GAN, Other, Commercial), pipeline classes, or shell patterns over
    these."""

    def __post_init__(self) -> None:
        if self.max_size is not None:
            bytes_of(self.max_size, "--max-size")


@dataclass(frozen=True, kw_only=True)
class CrawlOptions(ChoiceOptions):
    """Which of the Hub's models are crawled, and how. Raises `UsageError` for an invalid value."""

    limit: int | None = None
    """Models at most, most downloads first. None: 5,000, or all models that `from_file` names."""
    min_downloads: int = 0
    """Downloads of the last 30 days at least."""
    author: str | None = None
    """Only models of this user or organization."""
    kinds: tuple[Kind, ...] = KINDS
    """Kinds of models, in any order."""
    include: tuple[str, ...] = ()
    """Only these models, named as in `exclude`; none: all."""
    from_file: Path | None = None
    """Only models that this file names: Parquet or CSV, such as an earlier catalogue, a list, or TOML; folders and
    `.safetensors` checkpoints on this machine too, of which it may be one."""
    include_test_repositories: bool = False
    """Also tiny models for software tests, such as those of hf-internal-testing. Models in `from_file` always are."""
    update: bool = False
    """Whether new generators, new revisions and other settings are added to a workspace that was sampled: as another
    round."""
    replace_revisions: bool = False
    """With `update`: whether a new revision takes the place of the former one, which gets no more images."""
    workers: int = 8
    """Models inspected in parallel, 1 to 64."""
    endpoint: str | None = None
    """URL of the Hub. None: HF_ENDPOINT, else https://huggingface.co."""
    token: str | None = field(default=None, repr=False)
    """Access token. None: HF_TOKEN, else the one `hf auth login` stored."""

    def __post_init__(self) -> None:
        super().__post_init__()
        unknown = sorted(set(self.kinds) - set(KINDS))
        if unknown or not self.kinds:
            wrong = f"{unknown[0]!r} is not one of" if unknown else "name at least one of"
            raise UsageError(f"--kinds: {wrong} {', '.join(KINDS)}")
        # Always in the same order, because the recipe contains them.
        object.__setattr__(self, "kinds", tuple(kind for kind in KINDS if kind in self.kinds))
        if self.limit is not None and self.limit < 1:
            raise UsageError("--limit must be at least 1")
        if self.min_downloads < 0:
            raise UsageError("--min-downloads must be at least 0")
        if self.replace_revisions and not self.update:
            raise UsageError("--replace-revisions is for new revisions, which --update adds: give both")
        if not 1 <= self.workers <= 64:
            raise UsageError("--workers must be 1 to 64")

    @property
    def hub(self) -> HubAccess:
        """The Hub to crawl, and the token to use."""
        return HubAccess(self.endpoint, self.token)


@dataclass(frozen=True, kw_only=True)
class AddOptions:
    """Which generators of a TOML file are added, and how. Raises `UsageError` for an invalid value."""

    files: Path | None = None
    """Where the files are that its tables name. None: the folder of the TOML file."""
    only: tuple[str, ...] = ()
    """Only these generators, ORG/NAME; none: all."""
    update: bool = False
    """Whether a workspace that was sampled gets another round for them."""
    replace_revisions: bool = False
    """With `update`: whether a new revision takes the place of the former one, which gets no more images."""

    def __post_init__(self) -> None:
        if self.replace_revisions and not self.update:
            raise UsageError("--replace-revisions is for new revisions, which --update adds: give both")
