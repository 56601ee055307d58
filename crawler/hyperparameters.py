"""Hyperparameters: how the author samples a generator, each value with its source.

The card comes first (its code, then its text, then the settings of its widget), then the repository's configurations
(the scheduler; the size that the denoiser was trained for, times the scale of its autoencoder), then the default of the
pipeline's call. Without any of them there is no value, and the pipeline decides when it is called.
"""

import json
from collections.abc import Mapping
from typing import Any

from crawler.card.call_fields import CALL_FIELDS as CALL_FIELDS
from crawler.card.call_fields import MAX_TEXT, text_or_none
from crawler.card.call_fields import valid_or_none as valid_or_none
from crawler.card.embedding_tokens import words_for_prompts
from crawler.card.model_card import Card
from crawler.card.settings_in_text import read_settings
from crawler.card.snippets import Usage, is_setting
from crawler.catalog import Hyperparameters, HyperparameterSources, Origin
from crawler.pipelines.components import scheduler_defaults
from crawler.pipelines.traits import PipelineTraits
from crawler.text import Plain, literal, stated_text


def hyperparameters_of(
    traits: PipelineTraits | None, card: Card, usage: Usage, config: Mapping[str, Any], token: str | None = None
) -> tuple[Hyperparameters, HyperparameterSources]:
    """The settings and the source of each.

    `config` has the settings of the configurations (`settings_in_configs`). `token` is the token of a textual
    inversion, from a file of its repository. Values of a wrong type or out of range are skipped.
    """
    values: dict[str, Any] = {}
    sources: dict[str, Origin] = {}

    def use_if_unset(name: str, value: Any, source: Origin) -> None:
        if name not in values and value is not None:
            values[name], sources[name] = value, source

    for name in CALL_FIELDS:
        use_if_unset(name, valid_or_none(name, usage.arguments.get(name)), "card")
    use_if_unset("scheduler", usage.scheduler, "card")
    scheduler_config = _scheduler_config(usage)
    use_if_unset("scheduler_config", _json(scheduler_config), "card")
    prediction = scheduler_config.get("prediction_type")
    use_if_unset("prediction_type", prediction if isinstance(prediction, str) else None, "card")
    use_if_unset("adapter_scale", usage.adapter_scale, "card")
    in_text = _settings_in_text(traits, card, config)
    named = in_text.pop("scheduler_config", None)
    if usage.scheduler is None and in_text.get("scheduler") is not None:
        use_if_unset("scheduler_config", _json(named or {}), "card")
    for name, stated in in_text.items():
        use_if_unset(name, valid_or_none(name, stated) if name in CALL_FIELDS else stated, "card")
    in_widget = _settings_of_widget(traits, card)
    for name in CALL_FIELDS:
        use_if_unset(name, valid_or_none(name, in_widget.get(name)), "card")
    words = words_for_prompts(card, usage, token)
    use_if_unset("trigger_words", text_or_none(words.in_prompt), words.origin)
    stated = values.get("negative_prompt", "")
    if words.in_negative_prompt is not None and words.in_negative_prompt not in stated:
        joined = text_or_none(", ".join(filter(None, (words.in_negative_prompt, stated))))
        if joined is not None:
            values["negative_prompt"], sources["negative_prompt"] = joined, words.origin
    arguments = {**in_widget, **usage.arguments}
    extra = {name: value for name, value in arguments.items() if is_setting(name) and name not in CALL_FIELDS}
    use_if_unset("extra", _json(extra), "card")
    for name in ("height", "width", "scheduler", "prediction_type"):
        value = config.get(name)
        use_if_unset(name, value if name in ("scheduler", "prediction_type") else valid_or_none(name, value), "config")
    for name in CALL_FIELDS:
        use_if_unset(name, valid_or_none(name, traits.defaults.get(name)) if traits is not None else None, "default")
    return Hyperparameters(**values), HyperparameterSources(**sources)


def texts_too_long(card: Card, usage: Usage, token: str | None = None) -> tuple[str, ...]:
    """The settings whose texts are longer than is read; arguments as of `hyperparameters_of`."""
    words, given = words_for_prompts(card, usage, token), usage.arguments.get("negative_prompt")
    negative = [words.in_negative_prompt, given, _settings_of_widget(None, card).get("negative_prompt")]
    texts = {"trigger_words": words.in_prompt or "", "negative_prompt": ", ".join(map(str, filter(None, negative)))}
    return tuple(name for name, text in texts.items() if len(text) > MAX_TEXT)


def _scheduler_config(usage: Usage) -> Mapping[str, Any]:
    """The settings that the card gives to the scheduler; where it calls the constructor, also those of the class."""
    if usage.scheduler is None or usage.scheduler_unread is None:
        return usage.scheduler_config
    defaults = scheduler_defaults(usage.scheduler)
    of_class = {name: value for name, value in defaults.items() if name not in usage.scheduler_unread}
    return {**of_class, **usage.scheduler_config}


def _settings_of_widget(traits: PipelineTraits | None, card: Card) -> dict[str, Plain]:
    """The arguments of the call in `inference: parameters:`, with which the Hub's widget samples the model."""
    inference = card.metadata.get("inference")
    given = inference.get("parameters") if isinstance(inference, dict) else None
    known = traits.parameters if traits is not None else CALL_FIELDS
    values = ((name, text) for name, text in given.items() if name in known) if isinstance(given, dict) else ()
    return {name: literal(text) for name, text in values if isinstance(text, str) and stated_text(text) is not None}


def _settings_in_text(traits: PipelineTraits | None, card: Card, config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings in the card's text that this pipeline has."""
    stated = read_settings(card.document)
    cfg = stated.pop("cfg", None)
    known = traits.parameters if traits is not None else frozenset()
    # In a pipeline with two scales (guidance_scale and true_cfg_scale), "CFG" can mean either.
    if cfg is not None and ("true_cfg_scale" in known or stated.setdefault("guidance_scale", cfg) != cfg):
        stated.pop("guidance_scale", None)
    of_scheduler = ("scheduler", "scheduler_config")
    # Web UIs name schedulers for noise prediction; models with flow matching need others.
    noise = "scheduler" in config and not str(config.get("prediction_type", "")).startswith("flow")
    return {name: value for name, value in stated.items() if (noise if name in of_scheduler else name in known)}


def _json(values: Mapping[str, Plain]) -> str | None:
    return json.dumps(values, ensure_ascii=False, sort_keys=True) if values else None


def settings_in_configs(
    scheduler: Mapping[str, Any] | None, denoiser: Mapping[str, Any] | None, decoder: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The settings in the configurations of scheduler, denoiser and latent decoder (None: it does not exist).

    The keys are scheduler, prediction_type, height and width. The size in pixels is the denoiser's `sample_size` times
    the decoder's scale, which is how diffusers' pipelines compute their default size.
    """
    found: dict[str, Any] = {}
    if scheduler is not None:
        class_name, prediction = scheduler.get("_class_name"), scheduler.get("prediction_type")
        if isinstance(class_name, str):
            found["scheduler"] = class_name
            if class_name.startswith("FlowMatch"):
                found["prediction_type"] = "flow"
        if isinstance(prediction, str):
            found["prediction_type"] = prediction
    scale = 1 if decoder is None else decoder_scale(decoder)
    if denoiser is not None and scale is not None:
        size = denoiser.get("sample_size")
        sizes = size if isinstance(size, list) and len(size) == 2 else [size, size]
        pixels = [side * scale for side in sizes if isinstance(side, int) and not isinstance(side, bool)]
        if len(pixels) == 2:
            found["height"], found["width"] = pixels
    return found


def decoder_scale(decoder: Mapping[str, Any]) -> int | None:
    """Pixels per latent (in one dimension) of an autoencoder: each block but the last doubles the size."""
    for name in ("block_out_channels", "encoder_block_out_channels", "decoder_block_out_channels"):
        blocks = decoder.get(name)
        if isinstance(blocks, list) and 1 <= len(blocks) <= 12:
            return int(2 ** (len(blocks) - 1))
    return None
