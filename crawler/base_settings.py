"""Settings that an adapter has from its base model.

What the base's own card says holds for the adapter too, unless the adapter's card says otherwise: a LoRA for a
distilled model is sampled in the few steps that the model was distilled to. It comes before configurations and the
defaults of classes.
"""

import json
from dataclasses import fields, replace

from crawler.catalog import Hyperparameters, HyperparameterSources, Origin

# The base's trigger words are for its own subject, and it has no adapter.
_OWN = frozenset({"trigger_words", "adapter_scale"})
# Arguments that replace the number of steps.
_SCHEDULES = frozenset({"timesteps", "sigmas"})


def with_base_settings(
    own: tuple[Hyperparameters, HyperparameterSources], base: tuple[Hyperparameters, HyperparameterSources]
) -> tuple[Hyperparameters, HyperparameterSources]:
    """The settings and sources of an adapter, completed by those that its base's card gives."""
    values, sources = own
    base_values, base_sources = base
    own_card = {field.name for field in fields(sources) if getattr(sources, field.name) == "card"}
    base_card = {field.name for field in fields(base_sources) if getattr(base_sources, field.name) == "card"}
    taken = base_card - own_card - _OWN - {"extra"}
    if values.negative_prompt is not None:
        taken.discard("negative_prompt")  # the token of a negative embedding, from a file of its repository
    if "scheduler" in own_card:
        taken.discard("scheduler_config")  # it is that of the base's scheduler
    values = replace(values, **{name: getattr(base_values, name) for name in taken})
    from_base: dict[str, Origin] = dict.fromkeys(taken, "base")
    sources = replace(sources, **from_base)
    if base_values.extra is None:
        return values, sources
    extra = json.loads(base_values.extra)
    if "num_inference_steps" in own_card:
        extra = {name: value for name, value in extra.items() if name not in _SCHEDULES}
    if not extra:
        return values, sources
    both = extra | json.loads(values.extra or "{}")
    text = json.dumps(both, ensure_ascii=False, sort_keys=True)
    return replace(values, extra=text), replace(sources, extra=sources.extra or "base")
