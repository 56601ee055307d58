"""What a file says of how it was generated: prompt and settings, as the programs that people use write them.

    web UI     PNG text `parameters`; JPEG and WebP: EXIF UserComment. AUTOMATIC1111, Forge, SD.Next and others
    ComfyUI    PNG text `prompt`, a graph of nodes; WebP: EXIF Make or Model, "prompt:{...}"
    InvokeAI   PNG text `invokeai_metadata`
    NovelAI    PNG text `Comment`, JSON with `prompt` and `uc`
    Fooocus    PNG text `parameters`, JSON

The web UI's text is the prompt, then `Negative prompt: ...`, then one line of `Name: value` pairs that begins with
`Steps:` (modules/infotext_utils.py, `parse_generation_parameters`). Of a graph of ComfyUI the prompt is the text of the
node that a sampler's input `positive` leads to. What cannot be read is left out, never guessed.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

#: Nodes between a sampler of ComfyUI and the text that it is conditioned by.
_MOST_NODES = 50
#: Characters of a text at most; graphs of ComfyUI have some hundred thousand.
_LONGEST = 1 << 20
#: A pair of the web UI's last line; a value with a comma in it is in quotes. The name has a greatest length, without
#: which a text of letters alone would be searched for a colon from each of them on.
_PAIR = re.compile(r'(\w[\w \-/]{1,60}):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
_STEPS = re.compile(r"^Steps:\s*\d+", re.MULTILINE)
_NEGATIVE = "Negative prompt:"
#: Inputs of ComfyUI's text nodes, and of nodes that pass a text or a conditioning on.
_TEXT_INPUTS = ("text", "text_g", "t5xxl", "clip_l", "string", "value", "prompt", "text_positive")
_LINK_INPUTS = ("conditioning", "positive", "conditioning_1", "conditioning_to", "base_positive", "guider", "text1")


@dataclass(frozen=True, kw_only=True)
class GenerationSettings:
    """What a file says of how it was generated; None: it does not say."""

    written_by: str
    """web-ui | comfyui | invokeai | novelai | fooocus"""
    field: str
    """The field of its metadata that says so."""
    prompt: str | None = None
    negative_prompt: str | None = None
    steps: int | None = None
    guidance_scale: float | None = None
    seed: int | None = None
    sampler: str | None = None
    model: str | None = None


def generation_settings(texts: Mapping[str, str]) -> GenerationSettings | None:
    """The settings in the texts of a file, by field; None where none of them has any."""
    for field, read in _READERS.items():
        if field not in texts or len(texts[field]) > _LONGEST:
            continue
        try:
            found = read(field, texts[field])
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
            continue
        if found is not None:
            return found
    return None


def _web_ui(field: str, text: str) -> GenerationSettings | None:
    if text.lstrip().startswith("{"):
        return _fooocus(field, text)
    last = list(_STEPS.finditer(text))
    if not last and _NEGATIVE not in text:
        return None
    before, pairs = (text[: last[-1].start()], text[last[-1].start() :]) if last else (text, "")
    prompt, _, negative = before.partition(f"\n{_NEGATIVE}")
    if not negative and before.startswith(_NEGATIVE):
        prompt, negative = "", before[len(_NEGATIVE) :]
    values = {
        name.strip(): value.strip().strip('"') for name, value in _PAIR.findall(pairs.splitlines()[0] if pairs else "")
    }
    return GenerationSettings(
        written_by="web-ui",
        field=field,
        prompt=prompt.strip() or None,
        negative_prompt=negative.strip() or None,
        steps=_whole(values.get("Steps")),
        guidance_scale=_number(values.get("CFG scale")),
        seed=_whole(values.get("Seed")),
        sampler=values.get("Sampler") or None,
        model=values.get("Model") or None,
    )


def _fooocus(field: str, text: str) -> GenerationSettings | None:
    values = json.loads(text)
    return GenerationSettings(
        written_by="fooocus",
        field=field,
        prompt=_text(values.get("prompt")),
        negative_prompt=_text(values.get("negative_prompt")),
        steps=_whole(values.get("steps")),
        guidance_scale=_number(values.get("guidance_scale")),
        seed=_whole(values.get("seed")),
        sampler=_text(values.get("sampler")),
        model=_text(values.get("base_model")),
    )


def _comfyui(field: str, text: str) -> GenerationSettings | None:
    if field.startswith("exif:"):
        before, mark, text = text.partition(":")
        if not mark or before.lower() != "prompt":
            return None
    graph = json.loads(text)
    nodes = {str(name): node for name, node in graph.items() if isinstance(node, dict) and "class_type" in node}
    sampler = next((node for node in nodes.values() if {"positive", "steps"} <= node["inputs"].keys()), None)
    sampler = sampler or next((node for node in nodes.values() if "positive" in node["inputs"]), None)
    guider = next((node for node in nodes.values() if node["class_type"] == "BasicGuider"), None)
    if sampler is None and guider is None:
        return None
    inputs: dict[str, Any] = sampler["inputs"] if sampler is not None else {}
    positive = inputs.get("positive") if sampler is not None else (guider or {})["inputs"].get("conditioning")
    everything: dict[str, Any] = {}
    for node in nodes.values():
        everything |= {name: value for name, value in node["inputs"].items() if not isinstance(value, list)}
    return GenerationSettings(
        written_by="comfyui",
        field=field,
        prompt=_text_behind(nodes, positive),
        negative_prompt=_text_behind(nodes, inputs.get("negative")),
        steps=_whole(inputs.get("steps", everything.get("steps"))),
        guidance_scale=_number(inputs.get("cfg", everything.get("cfg"))),
        seed=_whole(inputs.get("seed", inputs.get("noise_seed", everything.get("noise_seed")))),
        sampler=_text(inputs.get("sampler_name", everything.get("sampler_name"))),
        model=_text(everything.get("ckpt_name", everything.get("unet_name"))),
    )


def _text_behind(nodes: Mapping[str, Any], link: Any) -> str | None:
    """The text that a link of a graph leads to; None where it leads to none, or to several."""
    for _ in range(_MOST_NODES):
        if isinstance(link, str):
            return _text(link)
        if not (isinstance(link, list) and link and str(link[0]) in nodes):
            return None
        inputs = nodes[str(link[0])]["inputs"]
        found = [inputs[name] for name in _TEXT_INPUTS if name in inputs] or [
            inputs[name] for name in _LINK_INPUTS if name in inputs
        ]
        texts = {one for one in found if isinstance(one, str) and one.strip()}
        if len(texts) > 1:
            return None
        link = next(iter(texts), found[0] if found else None)
    return None


def _invokeai(field: str, text: str) -> GenerationSettings | None:
    values = json.loads(text)
    model = values.get("model")
    return GenerationSettings(
        written_by="invokeai",
        field=field,
        prompt=_text(values.get("positive_prompt")),
        negative_prompt=_text(values.get("negative_prompt")),
        steps=_whole(values.get("steps")),
        guidance_scale=_number(values.get("cfg_scale")),
        seed=_whole(values.get("seed")),
        sampler=_text(values.get("scheduler")),
        model=_text(model.get("name", model.get("model_name")) if isinstance(model, dict) else None),
    )


def _novelai(field: str, text: str) -> GenerationSettings | None:
    values = json.loads(text)
    if "prompt" not in values:
        return None
    return GenerationSettings(
        written_by="novelai",
        field=field,
        prompt=_text(values["prompt"]),
        negative_prompt=_text(values.get("uc")),
        steps=_whole(values.get("steps")),
        guidance_scale=_number(values.get("scale")),
        seed=_whole(values.get("seed")),
        sampler=_text(values.get("sampler")),
    )


#: Which field is read how; the first one that says something counts.
_READERS: Mapping[str, Callable[[str, str], GenerationSettings | None]] = {
    "parameters": _web_ui,
    "exif:UserComment": _web_ui,
    "prompt": _comfyui,
    "exif:Make": _comfyui,
    "exif:Model": _comfyui,
    "invokeai_metadata": _invokeai,
    "Comment": _novelai,
}


def _text(value: Any) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _whole(value: Any) -> int | None:
    """A whole number from 0 to 2**63 - 1; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    number = int(value)
    return number if 0 <= number < 1 << 63 else None


def _number(value: Any) -> float | None:
    """A number from 0 to 1000; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    number = float(value)
    return number if 0 <= number <= 1000 else None
