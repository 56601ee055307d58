"""How a generator wants to be sampled, each value with its source.

What the card's author writes comes first, in code before in words, then what the repository's configuration
implies (the scheduler, the size the denoiser was trained for times the scale of its autoencoder), then the default
of the pipeline's call.
Where nobody says anything, there is no value: the pipeline decides when it is called.
"""

import json
from collections.abc import Mapping
from typing import Any

from crawler.card.model_card import Card
from crawler.card.settings_in_text import read_settings
from crawler.card.snippets import Usage, is_setting
from crawler.card.trigger_words import read_trigger_words
from crawler.catalog import Hyperparameters, HyperparameterSources, Origin
from crawler.pipelines.traits import PipelineTraits
from crawler.text import Plain

#: Fields of `Hyperparameters` that are arguments of a pipeline call.
CALL_FIELDS = ("num_inference_steps", "guidance_scale", "height", "width", "negative_prompt")
#: Beyond these a number is a slip of the pen: no published sampler takes more steps, no scale helps.
MAX_STEPS, MAX_SCALE, MAX_PIXELS = 5000, 1000.0, 16384
#: Characters kept of a text at most.
MAX_TEXT = 5000


def hyperparameters_of(
    traits: PipelineTraits | None, card: Card, usage: Usage, config: Mapping[str, Any], trigger: str | None = None
) -> tuple[Hyperparameters, HyperparameterSources]:
    """The settings and where each comes from.

    `config` holds what the configuration implies: height, width, scheduler, prediction_type. `trigger` is the
    token of a textual inversion where a file states it. Values of a wrong type or beyond reason are passed over.
    """
    values: dict[str, Any] = {}
    sources: dict[str, Origin] = {}

    def offer(name: str, value: Any, source: Origin) -> None:
        if name not in values and value is not None:
            values[name], sources[name] = value, source

    for name in CALL_FIELDS:
        offer(name, checked(name, usage.arguments.get(name)), "card")
    offer("scheduler", usage.scheduler, "card")
    for name, said in _in_words(traits, card, config).items():
        offer(name, checked(name, said) if name in CALL_FIELDS else said, "card")
    offer("trigger_words", _shortened(usage.token or read_trigger_words(card)), "card")
    offer("trigger_words", _shortened(trigger), "config")
    extra = {name: value for name, value in usage.arguments.items() if is_setting(name) and name not in CALL_FIELDS}
    offer("extra", json.dumps(extra, ensure_ascii=False, sort_keys=True) if extra else None, "card")
    for name in ("height", "width", "scheduler", "prediction_type"):
        value = config.get(name)
        offer(name, value if name in ("scheduler", "prediction_type") else checked(name, value), "config")
    for name in CALL_FIELDS:
        offer(name, checked(name, traits.defaults.get(name)) if traits is not None else None, "default")
    return Hyperparameters(**values), HyperparameterSources(**sources)


def checked(name: str, value: Plain) -> Any:
    """A call argument as its column takes it; None when it is of another type or beyond reason."""
    if isinstance(value, bool):
        return None
    if name == "negative_prompt":
        return _shortened(value) if isinstance(value, str) else None
    if name == "guidance_scale":
        return float(value) if isinstance(value, int | float) and 0 <= value <= MAX_SCALE else None
    largest = MAX_STEPS if name == "num_inference_steps" else MAX_PIXELS
    return value if isinstance(value, int) and 1 <= value <= largest else None


def _in_words(traits: PipelineTraits | None, card: Card, config: Mapping[str, Any]) -> dict[str, int | float | str]:
    """What the card states in words, as far as it can mean this pipeline."""
    stated = read_settings(card.document)
    cfg = stated.pop("cfg", None)
    known = traits.parameters if traits is not None else frozenset()
    # A pipeline with two scales is guided by one and distilled for the other: "CFG" may mean either.
    if cfg is not None and ("true_cfg_scale" in known or stated.setdefault("guidance_scale", cfg) != cfg):
        stated.pop("guidance_scale", None)
    # The samplers of web UIs are diffusers' schedulers for noise prediction; flow matching has its own.
    noise = "scheduler" in config and not str(config.get("prediction_type", "")).startswith("flow")
    return {name: value for name, value in stated.items() if (noise if name == "scheduler" else name in known)}


def _shortened(text: str | None) -> str | None:
    return text[:MAX_TEXT] or None if text is not None else None


def config_implies(
    scheduler: Mapping[str, Any] | None, denoiser: Mapping[str, Any] | None, decoder: Mapping[str, Any] | None
) -> dict[str, Any]:
    """What the configurations of scheduler, denoiser and latent decoder (None: there is none) say about sampling.

    The size of an image in pixels is the denoiser's `sample_size` times the decoder's scale, as diffusers'
    pipelines compute their default size.
    """
    implied: dict[str, Any] = {}
    if scheduler is not None:
        class_name, prediction = scheduler.get("_class_name"), scheduler.get("prediction_type")
        if isinstance(class_name, str):
            implied["scheduler"] = class_name
            if class_name.startswith("FlowMatch"):
                implied["prediction_type"] = "flow"
        if isinstance(prediction, str):
            implied["prediction_type"] = prediction
    scale = 1 if decoder is None else decoder_scale(decoder)
    if denoiser is not None and scale is not None:
        size = denoiser.get("sample_size")
        sizes = size if isinstance(size, list) and len(size) == 2 else [size, size]
        pixels = [side * scale for side in sizes if isinstance(side, int) and not isinstance(side, bool)]
        if len(pixels) == 2:
            implied["height"], implied["width"] = pixels
    return implied


def decoder_scale(decoder: Mapping[str, Any]) -> int | None:
    """Pixels per latent of an autoencoder by its configuration: it doubles the size between two of its blocks."""
    for name in ("block_out_channels", "encoder_block_out_channels", "decoder_block_out_channels"):
        blocks = decoder.get(name)
        if isinstance(blocks, list) and 1 <= len(blocks) <= 12:
            return int(2 ** (len(blocks) - 1))
    return None
