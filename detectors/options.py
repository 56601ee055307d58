"""The options of `cf-detect`, with the defaults that the command line and the Python interface share."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from detectors.data.kin import Kin
from workspace.errors import UsageError
from workspace.hub_access import HubAccess
from workspace.shard import Shard

RealImages = Literal["paired", "all"]
"""Against which real images a generator is judged: those that its images are paired with, or all of its dataset."""


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Which images, and how they are divided."""

    data: tuple[str, ...] = ()
    """Sources: folders of workspaces, ORG/NAME[@REVISION], folder trees, .csv files; empty: the workspace."""
    protocol: str = "split"
    """Who trains and who is tested: split, generator:K, architecture, temporal:N, source or cross."""
    kin: Kin = "exclude"
    """exclude: generators related to a tested one are not in training; ignore: as in the study."""
    seed: int = 0
    """Random seed of the folds."""
    endpoint: str | None = None
    """URL of the Hub. None: HF_ENDPOINT, else https://huggingface.co."""
    token: str | None = field(default=None, repr=False)
    """Access token. None: HF_TOKEN, else the one `hf auth login` stored."""

    @property
    def hub(self) -> HubAccess:
        """Where datasets and real images of the Hub are read."""
        return HubAccess(self.endpoint, self.token)


@dataclass(frozen=True, kw_only=True)
class AuditOptions(DataOptions):
    """Which images are audited."""

    matched: bool = False
    """Whether pairs of a real and a generated image with like files are chosen; they are audited, and every detector is
    measured on them."""


@dataclass(frozen=True, kw_only=True)
class ReportOptions(DataOptions):
    """What the page shows."""

    pictures: bool = True
    """Whether it shows images, from `data`, that were judged best and worst."""


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions(DataOptions):
    """How a detector is evaluated. `protocol`, `kin` and `seed` are for a model; a run has its own."""

    transforms: tuple[str, ...] = ()
    """What is done to test images, one after the other, beside nothing: jpeg=75,50, robustness, ..."""
    real: RealImages = "paired"
    """paired: a generator is judged against the real images of its pairs; all: against all of its dataset."""
    device: str = "auto"
    """The device, as torch names it; auto: the first GPU where there is one."""
    batch: int = 32
    """Images that the detector is given at a time; no score depends on it."""
    shard: str = "1/1"
    """Share of the images that is scored: 3/16, auto."""
    dry_run: bool = False
    """Whether it only says what it would do."""


@dataclass(frozen=True, kw_only=True)
class TrainOptions(DataOptions):
    """How a detector is trained. Raises `UsageError` for invalid values.

    `seed` is of the folds and of the training alike. All but `device`, `workers`, `save_minutes` and `dry_run` are in
    the run's recipe.
    """

    steps: int | None = None
    """Optimiser steps; None: as the detector's registry has it."""
    settings: Mapping[str, bool | int | float | str] = field(default_factory=dict)
    """Hyper-parameters over the detector's defaults."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, ..."""
    workers: int | None = None
    """Processes that prepare images; None: one for each core, 16 at most."""
    save_minutes: float = 10.0
    """Minutes between two saved states: what a killed run loses at most."""
    shard: str = "1/1"
    """Which share of the folds this process trains."""
    dry_run: bool = False
    """Say what would be trained, and for how long, and train nothing."""

    def __post_init__(self) -> None:
        Shard.parse(self.shard)
        if self.steps is not None and self.steps < 1:
            raise UsageError("--steps must be at least 1")
        if self.workers is not None and self.workers < 1:
            raise UsageError("--workers must be at least 1")
        if not self.save_minutes > 0:
            raise UsageError("--save-minutes must be above 0")


@dataclass(frozen=True, kw_only=True)
class StudyOptions(DataOptions):
    """Which study is made, and how. What is None or empty has the study's own number."""

    study: str
    """generators, images, architectures, backbone, freezing, pairing or iterations."""
    models: tuple[str, ...] = ()
    """Detectors of the registry."""
    points: tuple[int, ...] = ()
    """Points on the x axis."""
    repeats: int | None = None
    """Repeats of each point, each with a subset and a seed of its own."""
    steps: int | None = None
    """Training steps of a detector that is trained by steps."""
    images: int = 100_000
    """Training images of each label, at most."""
    fix: Literal["draws", "images"] = "draws"
    """Of `generators`. draws: as many draws at every point, so that images of few generators repeat; images: at every
    point as many images as the smallest has."""
    architecture: str | None = None
    """Train on generators of this architecture only."""
    popular: tuple[str, ...] = ()
    """Of `images`: generators, the most popular first; empty: by the downloads in the workspace's catalogue."""
    random: int = 1000
    """Of `images`: how many random generators the popular ones are compared with."""
    source: str | None = None
    """Of `pairing`: the real source that is compared with all others; None: that of most images."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Hyper-parameters of the detectors, as `--set` has them."""
    device: str = "auto"
    """The device, as torch names it; auto: the first GPU where there is one."""
    shard: str = "1/1"
    """Share of the runs: 3/16, auto."""
    dry_run: bool = False
    """Whether it only says what it would do."""


@dataclass(frozen=True, kw_only=True)
class AttributeOptions:
    """How attribution is measured."""

    data: tuple[str, ...] = ()
    """The sources that the run was made from; empty: the workspace."""
    k: int = 5
    """Nearest neighbours."""
    bank: int = 100_000
    """Training images that are compared with, at most."""
    map_images: int = 10_000
    """Images in the map, at most; 0: no map."""
    seed: int = 0
    """Random seed of what is chosen by chance, and of the map."""
    device: str = "auto"
    """The device, as torch names it; auto: the first GPU where there is one."""
    endpoint: str | None = None
    """URL of the Hub. None: HF_ENDPOINT, else https://huggingface.co."""
    token: str | None = field(default=None, repr=False)
    """Access token. None: HF_TOKEN, else the one `hf auth login` stored."""
    dry_run: bool = False
    """Whether it only says what it would do."""

    @property
    def hub(self) -> HubAccess:
        """Where datasets and real images of the Hub are read."""
        return HubAccess(self.endpoint, self.token)
