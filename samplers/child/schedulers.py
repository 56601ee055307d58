"""The scheduler that the catalogue names, with the settings that it gives.

An author replaces the scheduler by `Class.from_config(pipe.scheduler.config, **settings)`, and so it is done here, for
every scheduler class of diffusers: `compatibles`, the list of a class, lacks LCMScheduler and TCDScheduler, which are
in every card of their adapters. from_config accepts every class and ignores every setting that it does not know; a
scheduler that the model was not trained for, or without a setting, would sample other images without a message. So
these are refused.
"""

import inspect
from collections.abc import Mapping
from typing import Any

from samplers.child.failures import GeneratorError
from samplers.planning.plan import DECLARED, Plan
from workspace.errors import in_one_line

#: As the configurations of schedulers name it, and as the catalogue does.
_FLOW, _FLOW_PREDICTION = "flow", "flow_prediction"


def set_scheduler(pipeline: Any, plan: Plan) -> None:
    """Use the scheduler of the catalogue where it differs from the pipeline's own.

    Raises `GeneratorError` (load-failed) for a class or setting that is not known, and a class that the pipeline's
    model was not trained for.
    """
    name, settings = plan.hyperparameters.scheduler, plan.scheduler_config
    current = getattr(pipeline, "scheduler", None)
    if current is None:
        if _is_declared(plan, "scheduler", "scheduler_config", "prediction_type"):
            detail = f"{plan.stated_by('scheduler')} the scheduler {name}; a {type(pipeline).__name__} has none"
            raise GeneratorError("load-failed", detail)
        return
    cls = type(current) if name is None else _scheduler_class(name)
    unknown = sorted(settings.keys() - _settings(cls))
    if unknown:
        detail = f"the catalogue declares {unknown[0]}={settings[unknown[0]]!r}, which {cls.__name__} does not take"
        raise GeneratorError("load-failed", detail)
    chosen = _made(cls, current, settings) if cls is not type(current) or settings else current
    _require_same_kind(current, chosen, plan)
    prediction = as_catalogue(plan.hyperparameters.prediction_type)
    if prediction and prediction_type(chosen) not in (None, prediction) and "prediction_type" in _settings(cls):
        stated = settings.get("prediction_type", prediction)
        if as_catalogue(stated) != prediction:
            detail = f"the catalogue declares prediction_type {prediction} and, for the scheduler, {stated}"
            raise GeneratorError("load-failed", detail)
        stated = _FLOW_PREDICTION if prediction == _FLOW else prediction
        chosen = _made(cls, current, {**settings, "prediction_type": stated})
    if chosen is not current:
        for part in (pipeline, *_parts(pipeline)):
            if getattr(part, "scheduler", None) is current:
                part.scheduler = chosen


def prediction_type(scheduler: Any) -> str | None:
    """What the model predicts, as this scheduler understands it: a value of the catalogue's column; None: it has no
    such setting."""
    stated = effective_config(scheduler).get("prediction_type")
    if isinstance(stated, str):
        return as_catalogue(stated)
    return _FLOW if _is_flow(scheduler) else None


def as_catalogue(stated: str | None) -> str | None:
    """A prediction type of a configuration file by its name in the catalogue."""
    return _FLOW if stated == _FLOW_PREDICTION else stated


def effective_config(scheduler: Any) -> dict[str, Any]:
    """The settings that the scheduler uses: of its configuration, which keeps those of former classes, what its
    constructor takes."""
    taken = _settings(type(scheduler))
    return {name: value for name, value in scheduler.config.items() if name in taken}


def schedulers_of(pipeline: Any) -> dict[str, Any]:
    """All schedulers of a pipeline by component: that of a prior, or of a later stage, has a name of its own."""
    return {name: part for name, part in pipeline.components.items() if "scheduler" in name and part is not None}


def _is_declared(plan: Plan, *names: str) -> bool:
    return any(getattr(plan.sources, name) in DECLARED for name in names)


def _scheduler_class(name: str) -> Any:
    import diffusers

    cls = getattr(diffusers, name, None) if name.isidentifier() else None
    packages = getattr(cls, "_backends", None)
    if packages:
        # diffusers has a class without content in its place.
        missing = " and ".join(package for package in packages if package != "torch")
        raise GeneratorError("load-failed", f"the scheduler {name} needs {missing}, which is not installed here")
    if not (inspect.isclass(cls) and issubclass(cls, diffusers.SchedulerMixin) and hasattr(cls, "from_config")):
        raise GeneratorError("load-failed", f"{name!r} is not a scheduler class of the installed diffusers")
    return cls


def _made(cls: Any, current: Any, settings: Mapping[str, Any]) -> Any:
    try:
        return cls.from_config(current.config, **settings)
    except Exception as error:
        # As a scheduler for other models does, because of the pipeline's settings.
        what = f"{cls.__name__} with the settings of the catalogue, in place of the pipeline's {type(current).__name__}"
        raise GeneratorError("load-failed", f"{what}: {in_one_line(error)}") from error


def _settings(cls: Any) -> set[str]:
    return set(inspect.signature(cls.__init__).parameters) - {"self", "kwargs"}


def _parts(pipeline: Any) -> list[Any]:
    """The pipelines that a combined pipeline calls."""
    from diffusers import DiffusionPipeline

    return [value for value in vars(pipeline).values() if isinstance(value, DiffusionPipeline)]


def _require_same_kind(current: Any, chosen: Any, plan: Plan) -> None:
    """Raise `GeneratorError` where a model that was trained for one scheduler cannot be sampled with the other."""
    listed = type(chosen) in current.compatibles or type(current) in chosen.compatibles
    if _is_flow(current) != _is_flow(chosen) or not (listed or _kind(current) == _kind(chosen)):
        raise GeneratorError(
            "load-failed",
            f"{plan.stated_by('scheduler')} the scheduler {type(chosen).__name__}, which is for {_kind(chosen)}; the "
            f"pipeline's own, {type(current).__name__}, is for {_kind(current)}",
        )


def _kind(scheduler: Any) -> str:
    """What a model must have been trained for, as its scheduler tells."""
    if _is_flow(scheduler):
        return "flow matching"
    name = type(scheduler).__name__
    if "beta_schedule" in _settings(type(scheduler)):
        return "noise on a schedule of betas"
    return "EDM" if name.startswith("EDM") else f"models of {name}"


def _is_flow(scheduler: Any) -> bool:
    """Whether it samples by flow matching: always, or by its configuration."""
    config, name = effective_config(scheduler), type(scheduler).__name__
    if config.get("use_flow_sigmas") or config.get("prediction_type") == _FLOW_PREDICTION:
        return True
    return name.startswith(("Flow", "LTXEuler")) or ("shift" in config and "beta_schedule" not in config)
