"""The options of fetching ahead, with the defaults that the command line and the Python interface share."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from crawler.options import ChoiceOptions
from samplers.options import SampleOptions
from workspace.checker import DEFAULT_CHECKER
from workspace.errors import UsageError
from workspace.hub_access import HubAccess
from workspace.size import bytes_of


@dataclass(frozen=True, kw_only=True)
class FetchOptions(ChoiceOptions):
    """Which generators' files are fetched, and where to. Those that choose generators are those of `SampleOptions`.

    Raises `UsageError` for values that make no sense.
    """

    weights_dir: Path | None = None
    """The folder to fill, on a file system that the sampling nodes share. It has no default."""
    max_disk: int | str | None = None
    """Space that the folder may take: bytes, or a text such as "20TB"; None: what the disk has."""
    shard: str = "1/1"
    """Which share of the generators, counted from 1."""
    only: tuple[str, ...] = ()
    """Only these generators, named as in `exclude`; none: all."""
    limit: int | None = None
    """Only this many compatible generators, in order of downloads; None: all."""
    images: int | None = None
    """Images to keep of each generator; None: as the workspace was sampled, else 400."""
    allow_pickle: bool = False
    """Also generators whose weights are pickles."""
    safety_checker: str | None = None
    """Repository of the safety checker; None: the workspace's, else Stable Diffusion's."""
    retry_failed: bool = False
    """Also generators that failed before."""
    stay: bool = False
    """Stay until all are sampled: free what is done, and fetch damaged files again."""
    endpoint: str | None = None
    """URL of the Hub. None: HF_ENDPOINT, else https://huggingface.co."""
    token: str | None = field(default=None, repr=False)
    """Access token. None: HF_TOKEN, else the one `hf auth login` stored."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.weights_dir is None:
            raise UsageError("name the folder to fill, on a file system that the nodes share: --weights-dir DIR")
        _ = self.sampling({})

    def sampling(self, recipe: Mapping[str, Any]) -> SampleOptions:
        """The options of sampling that find what is left to sample: those given here, and of the others those of the
        workspace's last recipe, where it has one."""
        names = {each.name for each in fields(SampleOptions)}
        recorded = {name: value for name, value in recipe.items() if name in names and value is not None}
        for name in ("holdout", "validation"):
            recorded[name] = tuple(recorded.get(name, ()))
        own = names & {each.name for each in fields(self)} - {"images", "allow_pickle"}
        given = {name: getattr(self, name) for name in own}
        if self.safety_checker is None:
            given["safety_checker"] = recorded.get("safety_checker", DEFAULT_CHECKER)
        if self.images is not None and self.images != recorded.get("images"):
            given |= {"images": self.images, "max_tries": None}
        pickles = self.allow_pickle or recorded.get("allow_pickle", False)
        return SampleOptions(**(recorded | given | {"allow_pickle": pickles, "update": True}))

    @property
    def disk_bytes(self) -> int | None:
        """`max_disk` in bytes; None: what the disk has."""
        return None if self.max_disk is None else bytes_of(self.max_disk, "--max-disk")

    @property
    def hub(self) -> HubAccess:
        """Which Hub is asked, and with which token."""
        return HubAccess(self.endpoint, self.token)
