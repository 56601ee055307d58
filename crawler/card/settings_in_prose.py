"""Sampling settings in sentences: "I recommend Euler a with 25 steps", "use a CFG around 7", "best at 768x768".

Only sentences that say how the model should be sampled are read. A range, a bound, or two numbers are no value, and
such a sentence speaks against one elsewhere. Sentences about training, upscaling or other tasks are skipped.
"""

import re
from collections.abc import Iterator
from typing import TypeAlias

from crawler.card.samplers import SAMPLER, Sampler, sampler_named

#: The name of a setting and its value; None: the sentence is about the setting, but gives no single value.
Statement: TypeAlias = tuple[str, int | float | tuple[int, int] | Sampler | None]

# A line without one of these, and a digit, states nothing.
_HINT = re.compile(r"step|cfg|guidance|\d ?(?:px)? ?[x×*] ?\d", re.IGNORECASE)
_DIGIT = re.compile(r"\d")
_SENTENCE = re.compile(r"(?<=[.!?;])\s+(?=[^\sa-z])")
_RECOMMENDED = re.compile(
    r"\b(?:recommend\w*|suggest\w*|best|optimal|ideal\w*|use|using|set|should|sweet spot|default|prefer\w*|must"
    r"|works? (?:well|great|fine|best)|good|parameters|settings|all (?:the )?(?:pictures|images))\b",
    re.IGNORECASE,
)
_OTHER_TASK = re.compile(
    r"\bhi-?res|\bhigh[- ]?res|formulation|train|fine-?tun|upscal|img2img|image[- ]to[- ]image|inpaint|refin|video"
    r"|controlnet|compar|benchmark|seconds|minutes|faster|epoch|learning rate|warm-?up|checkpoint|iteration|dataset"
    r"|denoising strength|detailer|overfit|regulari[sz]ation|embedding|vector|batch|\bprior\b|\bper step|first|last",
    re.IGNORECASE,
)
_BOUND = re.compile(
    r"[<>≤≥]|\b(?:than|may|might|lower|reduc\w+|increas\w+|decreas\w+|fewer|less|more|at least|at most|up to|minimum"
    r"|maximum|min|max|below|above|under|over|higher|larger|between|if|when|instead|otherwise|quick\w*|example|e\.g"
    r"|don['’]t|do not|not|never|avoid|try|depending|varies)\b",
    re.IGNORECASE,
)
_TO = r"\s?(?:-|–|—|~|～|to|or|and|/)\s?"
_COUNT = (
    r"(?:sampling |inference |denoising |diffusion |sampler )?steps?\b"
    r"(?! (?:model|lora|checkpoint|weights|version|unet))"
)
_STEPS = re.compile(
    rf"(?<![\d.,])(?P<low>\d{{1,4}}(?:[.,]\d{{1,3}})?{_TO})?(?P<steps>\d{{1,4}}) {_COUNT}"
    rf"|\bstep(?:s| count)(?: of| around| at| to|=|:)? ?(?P<after>\d{{1,4}})(?P<high>{_TO}\d)?(?![\d.,]*\d)",
    re.IGNORECASE,
)
_SCALE = re.compile(
    r"(?<!true )(?<!true_)(?<!video )(?<!net )(?<!image )(?<!distilled )"
    r"\b(?P<name>cfgs?(?: ?values?)?(?:[ _-]?scale)?|guidance(?:[ _]scale)?|classifier[- ]free guidance(?: scale)?)"
    r"(?: value)?(?: of| at| to| is| around| about|=|:|~)* ?(?P<scale>\d{1,2}(?:\.\d{1,2})?)"
    rf"(?P<more>{_TO}\d|,\d)?(?![\d.]*\d)"
    rf"|(?<![\d.,])(?P<least>\d{{1,2}}(?:\.\d)?{_TO})?(?P<before>\d{{1,2}}(?:\.\d)?) cfg\b",
    re.IGNORECASE,
)
_SIZE = re.compile(r"(?<![\d.])(\d{3,4}) ?(?:px)? ?[x×*] ?(\d{3,4})(?!\d)(?: ?px| pixels)?", re.IGNORECASE)
_ABOUT_SIZE = re.compile(r"resolution|\bsize|dimension|px\b|pixels|\bat \d|parameters|settings", re.IGNORECASE)
#: Characters of a sentence at most; what is longer is no sentence.
MAX_SENTENCE = 600


def statements_in_prose(text: str) -> Iterator[Statement]:
    """What the sentences of a line state; `cfg` is a scale that the author calls CFG."""
    if not _HINT.search(text) or not _DIGIT.search(text):
        return
    for sentence in _SENTENCE.split(text.replace("`", "").replace("*", "")):
        if len(sentence) <= MAX_SENTENCE and _HINT.search(sentence) and not _OTHER_TASK.search(sentence):
            samplers = {match.group().lower(): sampler_named(match.group()) for match in SAMPLER.finditer(sentence)}
            if samplers or _RECOMMENDED.search(sentence):
                yield from _stated(sentence, list(samplers.values()))


def _stated(sentence: str, samplers: list[Sampler | None]) -> Iterator[Statement]:
    bound = _BOUND.search(sentence) is not None
    found = list(_numbers(sentence))
    for name, value in found:
        yield name, None if bound else value
    sizes = (
        {(int(match[1]), int(match[2])) for match in _SIZE.finditer(sentence)} if _ABOUT_SIZE.search(sentence) else ()
    )
    for size in sizes:
        yield "size", None if bound else size
    if found:
        for sampler in samplers:
            yield "scheduler", None if bound else sampler


def _numbers(sentence: str) -> Iterator[tuple[str, int | float | None]]:
    for match in _STEPS.finditer(sentence):
        number = match["steps"] or match["after"]
        yield "num_inference_steps", int(number) if match["low"] is None and match["high"] is None else None
    for match in _SCALE.finditer(sentence):
        name = "guidance_scale" if (match["name"] or "cfg").lower().startswith(("guid", "class")) else "cfg"
        number = match["scale"] or match["before"]
        yield name, float(number) if match["more"] is None and match["least"] is None else None
