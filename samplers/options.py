"""The options of sampling, with the defaults that the command line and the Python interface share."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from crawler.options import ChoiceOptions
from engines.devices import check_devices
from engines.options import EngineOptions
from workspace.checker import DEFAULT_CHECKER
from workspace.errors import UsageError
from workspace.hub_access import HubAccess
from workspace.shard import Shard
from workspace.share import share_of
from workspace.size import bytes_of

if TYPE_CHECKING:
    from samplers.user_settings import UserSettings

Store = Literal["files", "parquet"]
"""Where images are stored: in files beside the rows, or inside the part files."""

StoreOption = Literal["auto", "files", "parquet"]
"""The same, or auto: what suits the workspace (`samplers/planning/chosen_store.py`)."""

Verify = Literal["quick", "full"]
"""Which finished images are read before sampling: those that were written since, or all."""

_DEFAULT_BATCH = 8


@dataclass(frozen=True, kw_only=True)
class SampleOptions(ChoiceOptions, EngineOptions):
    """What is sampled of each generator, and how this process does it.

    The first group changes images or rows and is in the workspace's recipe; the second one changes neither. Raises
    `UsageError` for values that make no sense.
    """

    images: int = 400
    """Images to keep of each generator."""
    batch_size: int | None = None
    """Images of one batch; None: 8, or `images` where that is less."""
    max_tries: int | None = None
    """Images to sample at most, rejected ones included; None: twice `images`."""
    steps: int | None = None
    """Denoising steps; None: each generator's own, as for the next five."""
    width: int | None = None
    """Pixels."""
    height: int | None = None
    """Pixels."""
    guidance_scale: float | None = None
    """Scale of the classifier-free guidance."""
    negative_prompt: str | None = None
    """Negative prompt of every prompt; empty: none."""
    scheduler: str | None = None
    """Scheduler class of diffusers, such as DDIMScheduler."""
    settings: Path | str | Mapping[str, Mapping[str, int | float | str]] | None = None
    """Settings of some generators: a TOML file with a table for a generator or for a pattern such as "ORG/*", or such a
    mapping, with any of the last six and `images`. They win over the settings of all generators."""
    seed: int = 0
    """Random seed: each value gives other images."""
    safety_checker: str = DEFAULT_CHECKER
    """Repository of the safety checker: ORG/NAME or ORG/NAME@REVISION."""
    source_weights: Mapping[str, float] = field(default_factory=dict)
    """How often prompts of a real source are drawn, compared with the others: 1 where none is given; 0: never."""
    images_per_prompt: int = 1
    """How often in a row each prompt is used, with different seeds."""
    evaluation_prompts: float = 0.0
    """Share of the prompts reserved for the generators of `holdout`, and another such share for those of
    `validation`, so that they share no caption and no real image with training; 0: none."""
    holdout: tuple[str, ...] = ()
    """Generators that will be for evaluation: name=ORG/NAME, family=ORG/BASE, architecture=PixDiff or
    after=2026-01-31."""
    validation: tuple[str, ...] = ()
    """Generators that will be for validation, as `holdout`."""
    store: StoreOption = "auto"
    """Images as files beside the rows, or inside the part files; auto: as the workspace has them, in a new one inside
    the part files where they would be more than 100,000 or it is on a network file system, and else as files."""
    allow_pickle: bool = False
    """Also sample generators whose weights are pickles, loaded with `weights_only`."""

    shard: str = "1/1"
    """Which share of the generators, counted from 1: "3/16" is the third of sixteen; "auto": what the batch system
    tells this process."""
    only: tuple[str, ...] = ()
    """Only these generators, named as in `exclude`; none: all."""
    limit: int | None = None
    """Only this many compatible generators, in order of downloads; None: all."""
    device: str = "auto"
    """auto, cpu or cuda:N."""
    weights_dir: Path | None = None
    """Folder for downloaded weights, on a local disk; None: below the system's temporary folder."""
    max_disk: int | str | None = None
    """Space for the weights of all runs on this node: bytes, or a text such as "200GB"; None: what the disk has."""
    timeout: float = 1800.0
    """Seconds that loading a generator, or one batch, may take."""
    max_memory: float | None = None
    """GB of memory (10**9 bytes) that the sampling process may take; 0: no limit; None: 90 % of the machine's."""
    retry_failed: bool = False
    """Sample every failed generator again, also quarantined ones."""
    verify: Verify = "quick"
    """Which finished generators' files are read, to make damaged ones again: quick, those written after the generator
    was finished (of the others sizes are compared); full, all."""
    update: bool = False
    """Whether settings may differ from the workspace's: what they add is then another round."""
    help_others: bool = True
    """When nothing of this shard is left, sample what other shards have not begun, then parts of what is under way."""
    fail_above: str = "0%"
    """Share of this shard's generators that may fail, such as "5%" or "0.05": `cf-sample` ends with exit code 3 where
    more did."""
    endpoint: str | None = None
    """URL of the Hub. None: HF_ENDPOINT, else https://huggingface.co."""
    token: str | None = field(default=None, repr=False)
    """Access token. None: HF_TOKEN, else the one `hf auth login` stored."""
    offline: bool = False
    """Never ask the Hub: `cf-fetch` puts the files into `weights_dir`, which is on a shared file system then."""
    wait: float = 900.0
    """With `offline`: seconds to wait for files while no `cf-fetch` runs that fetches them."""
    devices: str | None = None
    """Several devices of this machine, a process each: "all" (GPUs), "0,2", or "cpu:4" for four processes on the CPU;
    they divide the shard, and `max_memory` or the default of it. None: the one of `device`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        EngineOptions.__post_init__(self)
        self._check_offline()
        Shard.parse(self.shard)
        if self.store not in get_args(StoreOption):
            raise UsageError(f"--store {self.store!r} is not one of {', '.join(get_args(StoreOption))}")
        if self.verify not in get_args(Verify):
            raise UsageError(f"--verify {self.verify!r} is not one of {', '.join(get_args(Verify))}")
        self._check_reservation()
        if any(value is not None for value in (*self._general.values(), self.settings)):
            _ = self.user_settings
        for name in ("images", "images_per_prompt", "batch_size", "max_tries", "limit", "timeout"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"--{name.replace('_', '-')} must be at least 1")
        if self.max_tries is not None and self.max_tries < self.images:
            raise UsageError(
                f"--max-tries {self.max_tries} is less than --images {self.images}: make it at least as many"
            )
        for source, weight in self.source_weights.items():
            if not 0 <= weight < math.inf:
                raise UsageError(f"--source-weight {source}={weight}: the weight must be 0 (never) or a larger number")
        if self.devices is not None:
            check_devices(self.devices)
            if self.device != "auto":
                raise UsageError(f"--devices {self.devices} and --device {self.device}: give one of them")
        if self.max_memory is not None and self.max_memory < 0:
            raise UsageError("--max-memory must be 0 (no limit) or more")
        if self.max_disk is not None:
            bytes_of(self.max_disk, "--max-disk")
        share_of(self.fail_above, "--fail-above")

    def _check_offline(self) -> None:
        if self.wait < 0:
            raise UsageError("--wait must be 0 or more seconds")
        if not self.offline:
            return
        if self.weights_dir is None:
            raise UsageError(
                "--offline takes files from the folder that `cf-fetch` fills: name it with --weights-dir, as there"
            )
        if re.fullmatch(r".+@[0-9a-f]{40}", self.safety_checker) is None:
            raise UsageError(
                f"--offline asks no Hub for the commit of --safety-checker {self.safety_checker}: name it, as "
                "ORG/NAME@COMMIT"
            )

    def _check_reservation(self) -> None:
        share = self.evaluation_prompts
        held = [texts for texts in (self.holdout, self.validation) if texts]
        if held:
            # Imported here: what the texts mean is known beside the catalogue's record, which takes long to import.
            from crawler.holdout import Holdouts

            Holdouts.parse(self.holdout, self.validation)
        if not 0 <= share < 1:
            raise UsageError(f"--evaluation-prompts {share:g}: must be a share such as 0.1, or 0 to reserve nothing")
        if share * len(held) >= 1:
            raise UsageError(
                f"--evaluation-prompts {share:g}: test and validation have this share each, and leave no prompt for "
                "training: make it less than 0.5"
            )
        if share and not held:
            raise UsageError(
                f"--evaluation-prompts {share:g} reserves prompts for generators that are held out: name them with "
                "--holdout KIND=VALUE or --validation KIND=VALUE"
            )

    @property
    def user_settings(self) -> "UserSettings":
        """What is set instead of the generators' authors. Raises `UsageError` for what is no setting."""
        # Imported here: what a setting may be is read in the source of diffusers.
        from samplers.settings_file import checked_general, read_settings
        from samplers.user_settings import UserSettings

        return UserSettings(checked_general(self._general), read_settings(self.settings))

    @property
    def _general(self) -> dict[str, int | float | str | None]:
        names = ("steps", "guidance_scale", "width", "height", "negative_prompt", "scheduler")
        return {name: getattr(self, name) for name in names}

    @property
    def images_a_batch(self) -> int:
        """Images of one batch."""
        return min(_DEFAULT_BATCH, self.images) if self.batch_size is None else self.batch_size

    @property
    def tries(self) -> int:
        """Images to sample at most."""
        return 2 * self.images if self.max_tries is None else self.max_tries

    @property
    def allowed_failures(self) -> Fraction:
        """`fail_above` as a number from 0 to 1."""
        return share_of(self.fail_above, "--fail-above")

    @property
    def disk_bytes(self) -> int | None:
        """`max_disk` in bytes; None: what the disk has."""
        return None if self.max_disk is None else bytes_of(self.max_disk, "--max-disk")

    @property
    def memory_bytes(self) -> int | None:
        """`max_memory` in bytes, 0 for no limit; None: a share of the machine's memory."""
        return None if self.max_memory is None else int(self.max_memory * 1e9)

    @property
    def hub(self) -> HubAccess:
        """Which Hub is asked, and with which token."""
        return HubAccess(self.endpoint, self.token)


@dataclass(frozen=True, kw_only=True)
class RemakeOptions:
    """How images are made again; the recipe of the workspace decides all that changes them. Raises `UsageError` for
    values that make no sense. Each option is that of `SampleOptions`."""

    device: str = SampleOptions.device
    """auto, cpu or cuda:N; images are equal on the kind of device that their rows name."""
    weights_dir: Path | None = SampleOptions.weights_dir
    """Folder for downloaded weights, on a local disk; None: below the system's temporary folder."""
    max_disk: int | str | None = SampleOptions.max_disk
    """Space for the weights of all runs on this node: bytes, or a text such as "200GB"; None: what the disk has."""
    timeout: float = SampleOptions.timeout
    """Seconds that loading a generator, or one batch, may take."""
    max_memory: float | None = SampleOptions.max_memory
    """GB of memory (10**9 bytes) that the sampling process may take; 0: no limit; None: 90 % of the machine's."""
    endpoint: str | None = None
    """URL of the Hub. None: HF_ENDPOINT, else https://huggingface.co."""
    token: str | None = field(default=None, repr=False)
    """Access token. None: HF_TOKEN, else the one `hf auth login` stored."""

    def __post_init__(self) -> None:
        _ = self.sampling

    @property
    def sampling(self) -> SampleOptions:
        """The same as options of sampling."""
        return SampleOptions(**{each.name: getattr(self, each.name) for each in fields(self)})
