"""Which settings of its user a generator's pipeline takes, known before a file of it is downloaded.

Read from the catalogue's row and from the source of the installed pipeline class: the parameters of its call, its
components, and what sizes must be multiples of. Where the class is not known here, nothing is refused: the process that
loads it sees what it takes, and refuses then.
"""

import difflib
import functools
import math
from typing import Literal, TypeAlias

from crawler.catalog import CatalogEntry
from crawler.pipelines.components import missing_packages, scheduler_defaults, scheduler_names
from crawler.pipelines.size_multiple import size_multiple
from crawler.pipelines.traits import combined_class, describe

#: Fields of `Hyperparameters` that a user may give.
SettingName: TypeAlias = Literal[
    "num_inference_steps", "guidance_scale", "height", "width", "negative_prompt", "scheduler"
]

#: Settings of a scheduler that say which noise the model was trained with, whatever scheduler samples it.
OF_TRAINING = frozenset(
    {"beta_start", "beta_end", "beta_schedule", "num_train_timesteps", "prediction_type", "rescale_betas_zero_snr"}
)

_FLOW, _ENDING = "flow matching", "Scheduler"


def refusal(entry: CatalogEntry, name: SettingName, value: int | float | str) -> str | None:
    """Why the pipeline of a generator cannot take this setting, in words; None: it can, or is not known."""
    if entry.program is not None:
        return None if name in entry.program.settings else f"a program that takes no {name}"
    class_name = _class_of(entry)
    traits = describe(class_name) if class_name is not None else None
    if traits is None:
        return None
    if name == "scheduler":
        if "scheduler" not in traits.components:
            return f"a {class_name} has no scheduler of its own to replace"
        return _other_kind(entry, str(value))
    return None if name in traits.parameters else f"a {class_name} takes no {name}"


def multiple_of(entry: CatalogEntry) -> int:
    """What the sides of a generator's images must be multiples of; 1: nothing is known.

    Its own size, by its configuration, counts as well: its autoencoder may be another than its class is made for.
    """
    class_name = _class_of(entry)
    own, sources = entry.hyperparameters, entry.hyperparameter_sources
    sides = [side for side, source in ((own.height, sources.height), (own.width, sources.width)) if source == "config"]
    return math.gcd(size_multiple(class_name) if class_name is not None else 1, *(side for side in sides if side))


def scheduler_fault(name: str) -> str | None:
    """Why no pipeline can be sampled with a scheduler of that name here, in words; None: it is a class of diffusers."""
    known = scheduler_names()
    if name not in known:
        stems = {one.removesuffix(_ENDING): one for one in sorted(known)}
        like = difflib.get_close_matches(name.removesuffix(_ENDING), stems, n=1)
        hint = f"; did you mean {stems[like[0]]}?" if like else "; it has the name of its class, such as DDIMScheduler"
        return f"the installed diffusers has no scheduler {name!r}{hint}"
    missing = missing_packages("diffusers", name)
    return f"{name} needs {' and '.join(sorted(missing))}, which is not installed here" if missing else None


def taken_by_scheduler(name: str) -> frozenset[str]:
    """The settings of a scheduler class, as far as they have plain defaults."""
    return frozenset(scheduler_defaults(name))


def _class_of(entry: CatalogEntry) -> str | None:
    """The pipeline class that is called: of a decoder with a prior, the one that combines both."""
    name = entry.hf_diffusers_tag
    return (combined_class(name) or name) if name is not None and entry.prior_model is not None else name


def _other_kind(entry: CatalogEntry, scheduler: str) -> str | None:
    """Why a scheduler is none for a generator's model; None where it is, or where this cannot be told."""
    own = entry.hyperparameters.scheduler
    if own is None or own not in scheduler_names() or scheduler == own:
        return None
    flow = entry.hyperparameters.prediction_type in ("flow", "flow_prediction")
    if flow and _kind(own) != _FLOW and "use_flow_sigmas" in scheduler_defaults(scheduler):
        return None  # its configuration says so, and this class reads it
    trained = _FLOW if flow else _kind(own)
    return None if _kind(scheduler) == trained else f"{scheduler} is for {_kind(scheduler)}, its model for {trained}"


@functools.cache
def _kind(scheduler: str) -> str:
    """What a model must have been trained for, as `samplers/child/schedulers.py` tells it of a scheduler."""
    settings = scheduler_defaults(scheduler)
    if "beta_schedule" in settings:
        return "noise on a schedule of betas"
    if scheduler.startswith(("Flow", "LTXEuler")) or "shift" in settings:
        return _FLOW
    return "EDM" if scheduler.startswith("EDM") else f"models of {scheduler}"
