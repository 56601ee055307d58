"""What is in effect in a loaded pipeline, read back from it, and compared with what the catalogue declares.

Whatever applied a setting (a scheduler's constructor, peft, a tokenizer), it is read here from the object that will be
used. Where the two differ, nothing is sampled: the images would be of another generator. What was in effect is in every
row.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from samplers.child.failures import GeneratorError
from samplers.child.schedulers import as_catalogue, effective_config, prediction_type, schedulers_of
from samplers.planning.plan import DECLARED, Plan

#: Relative difference of two scales that rounding explains.
_ROUNDING = 1e-6


@dataclass(frozen=True, kw_only=True)
class Effective:
    """Columns of a sample's row (samplers/sample.py) with what is in effect for all images of a generator."""

    dtype: str | None
    scheduler: str = ""
    scheduler_config: str | None = None
    prediction_type: str | None = None
    adapter_scale: float | None = None
    embedding_tokens: str | None = None
    variant: str | None = None


def effective_settings(
    pipeline: Any, plan: Plan, *, dtype: str, variant: str | None, tokens: tuple[str, ...]
) -> Effective:
    """What is in effect in `pipeline`.

    `variant` is that of the files which were loaded, `tokens` those of the embeddings which were added. Raises
    `GeneratorError` (load-failed) with both values where the catalogue declares another one.
    """
    declared = plan.hyperparameters
    schedulers = schedulers_of(pipeline)
    scheduler = schedulers.get("scheduler")
    predicted = None if scheduler is None else prediction_type(scheduler)
    if scheduler is not None:
        if declared.scheduler is not None:
            _require_equal("scheduler", declared.scheduler, type(scheduler).__name__)
        config = effective_config(scheduler)
        for name, value in plan.scheduler_config.items():
            _require_equal(f"the scheduler's {name}", value, config.get(name))
        stated = plan.sources.prediction_type in DECLARED
        if declared.prediction_type is not None and (predicted is not None or stated):
            _require_equal("prediction_type", as_catalogue(declared.prediction_type), predicted)
    _require_equal("variant", plan.variant, variant)
    scale = _adapter_scale(pipeline, plan) if plan.kind == "lora" else None
    missing = [token for token in plan.embedding_tokens if token not in tokens]
    if missing:
        _require_equal("embedding_tokens", " ".join(plan.embedding_tokens), " ".join(tokens) or None)
    return Effective(
        dtype=dtype,
        scheduler="" if scheduler is None else type(scheduler).__name__,
        scheduler_config=_as_json(schedulers),
        prediction_type=predicted,
        adapter_scale=scale,
        embedding_tokens=" ".join(tokens) or None,
        variant=variant,
    )


def _adapter_scale(pipeline: Any, plan: Plan) -> float:
    declared = plan.hyperparameters.adapter_scale
    wanted = 1.0 if declared is None else declared
    scales = sorted(set(lora_scales(pipeline)))
    if not scales or not all(math.isclose(scale, wanted, rel_tol=_ROUNDING) for scale in scales):
        _require_equal("adapter_scale", wanted, ", ".join(map(str, scales)) or None)
    return wanted


def lora_scales(pipeline: Any) -> Iterator[float]:
    """The scale of the LoRA in every layer that has one: 1 is that of its training."""
    from peft.tuners.lora import LoraLayer

    for component in pipeline.components.values():
        for layer in component.modules() if hasattr(component, "modules") else ():
            if not isinstance(layer, LoraLayer):
                continue
            for adapter, scaling in layer.scaling.items():
                rank = layer.r[adapter]
                # peft's LoraLayer.set_scale: with rank-stabilised scaling, the square root.
                trained = layer.lora_alpha[adapter] / (math.sqrt(rank) if layer.use_rslora.get(adapter) else rank)
                in_use = adapter in layer.active_adapters and not layer.disable_adapters
                yield scaling / trained if in_use and trained else 0.0


def _as_json(schedulers: dict[str, Any]) -> str | None:
    """The configuration of the scheduler; of several, by component and with their classes."""
    configs = {name: effective_config(scheduler) for name, scheduler in schedulers.items()}
    if not configs:
        return None
    content: dict[str, Any] = configs.get("scheduler", {})
    if len(configs) > 1 or not content:
        content = {name: {"_class_name": type(schedulers[name]).__name__, **one} for name, one in configs.items()}
    return json.dumps(content, ensure_ascii=False, sort_keys=True, default=_plain)


def _plain(value: Any) -> Any:
    """An array of numbers as a list; anything else as text."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _require_equal(what: str, declared: Any, effective: Any) -> None:
    if not _is_equal(declared, effective):
        detail = f"{what}: the catalogue declares {declared}, in effect is {effective}"
        raise GeneratorError("load-failed", detail)


def _is_equal(declared: Any, effective: Any) -> bool:
    if isinstance(declared, list | tuple):
        same_length = isinstance(effective, list | tuple) and len(declared) == len(effective)
        return same_length and all(map(_is_equal, declared, effective))
    # True is 1 for Python.
    return bool(declared == effective) and isinstance(declared, bool) == isinstance(effective, bool)
