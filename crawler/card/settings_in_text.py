"""Sampling settings in the text of a model card, where the text has a regular form.

Authors list settings as `Steps: 30`, in bullets, in tables, or as web UIs write them below an image ("Steps: 30,
Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x768"). A wrong value is worse than none. Therefore a statement must
match one of these forms completely, and

* all statements of a card about a setting must agree: images made with different scales recommend none, and neither
  does a range ("20-30"), a list, or a note with numbers;
* sections about another task are skipped: training (by its heading, or by a learning rate, a batch size or the like
  among its statements), image-to-image, upscaling, comparisons;
* a table is read if each row has a setting and its value, or if it has one row of values below their names.

What no such statement gives is looked for in sentences (`crawler/card/settings_in_prose.py`).
"""

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from crawler.card.document import Code, Document, Heading, Line, Table, Text
from crawler.card.samplers import NOISE_SCHEDULES, Sampler, sampler_named, with_karras
from crawler.card.settings_in_prose import statements_in_prose

#: Largest plausible values: more steps are training steps, and no model is sampled with a larger scale.
MAX_STEPS, MAX_SCALE = 150, 30.0
# Bullets that Markdown does not know.
_BULLET = re.compile(r"^[•·–][ \t]*")
_INTRODUCTION = re.compile(r"^(?:[\w-]+ ){0,2}(?:settings?|parameters?|params)\s*:\s*(?=\S)", re.IGNORECASE)
_INFOTEXT = re.compile(r"\bSteps: ?\d+, ?Sampler:", re.IGNORECASE)
# Web UIs write these of an image that they made from another one; of one that they enlarged, they write how as well.
_FROM_IMAGE = re.compile(r"^(?!.*(?:hires|first pass))steps: ?\d+,.*(?:mask blur|denoising strength):", re.IGNORECASE)
# A comma, semicolon or bar ends a statement if another one follows: "7, Seed: 1", but not "Euler a, DDIM"; so does a
# space before a name that web UIs write.
_NEXT = re.compile(r"[,;|]\s*(?=[A-Za-z][^,;|:=]{0,40}[:=])|\s(?=(?:Sampler|CFG(?: scale)?|Size|Seed|Clip skip): )")
_STATEMENT = re.compile(r"^([A-Za-z][\w ./()-]{0,40}?)\s*[:=]\s*(\S.*)$")
_NUMBER = re.compile(r"^`?(\d{1,5}(?:\.\d{1,4})?)`?(?:\s*steps)?(?:\s*\([^()\d]*\))?\.?$", re.IGNORECASE)
_SIZE = re.compile(
    r"^`?(\d{2,5})\s?(?:px)?\s?[x×*]\s?(\d{2,5})\s?(?:px|pixels)?`?(?:\s*\([^()\d]*\))?\.?$", re.IGNORECASE
)
_QUOTED = re.compile(r"^`([^`]+)`\.?$")

_OTHER_TASK = re.compile(
    r"train(?!ed by)|fine-?tun|dataset|img2img|image[- ]to[- ]image|inpaint|upscal|hi-?res|high-?res|refine|video"
    r"|controlnet|detailer|evaluat|benchmark|compar|ablation|speed|performance|changelog|previous|\bold\b|older|legacy",
    re.IGNORECASE,
)
_TRAINING = re.compile(
    r"^(?:.*\b)?(?:learning[ _-]?rate|lr|unet[ _]lr|batch[ _-]?size|epochs?|repeats|rank|network[ _-]\w+|dim|alpha"
    r"|optimi[sz]er|gradient\w*|warm-?up|mixed[ _]precision|max[ _]train\w*|train\w*|dataset\w*|images used)\b",
    re.IGNORECASE,
)
_KIND = r"(?:(?:recommended|suggested|optimal|best|default|num|number of)[ _])?"
_SETTINGS: Mapping[str, re.Pattern[str]] = {
    name: re.compile(f"^{_KIND}(?:{words})$", re.IGNORECASE)
    for name, words in {
        "num_inference_steps": r"(?:(?:sampling|sampler|inference|denoising|generation)[ _])?steps",
        "guidance_scale": r"guidance(?:[ _]scale)?|classifier[- ]free guidance(?: scale)?|distilled cfg(?:[ _]scale)?",
        "cfg": r"cfg(?:[ _-]?scale)?",
        "size": r"(?:image[ _]|output[ _])?(?:size|resolution|res|dimensions)",
        "height": "(?:image[ _])?height",
        "width": "(?:image[ _])?width",
        "scheduler": r"sampler|scheduler|sampling method|noise scheduler|schedule type",
        "negative_prompt": r"negative[ _]prompt|negatives",
    }.items()
}

# The value of a statement; a size is width and height.
_Value: TypeAlias = int | float | str | tuple[int, int] | Sampler


@dataclass
class _Part:
    """The statements below one heading, or below a line that serves as one."""

    #: Whether it is about another task than generating images from text with this model.
    other_task: bool
    statements: list[tuple[str, str]] = field(default_factory=list)
    #: Lines that hold no statement.
    prose: list[str] = field(default_factory=list)


def read_settings(document: Document) -> dict[str, Any]:
    """The settings in a card's text, by the names of `Hyperparameters`. Never raises.

    `cfg` is a scale that the author calls CFG. In most pipelines it is guidance_scale; in pipelines that have a
    true_cfg_scale too it can be either. `scheduler_config` has what the name of a sampler says beside its class.
    """
    stated: dict[str, list[_Value | None]] = {}
    in_prose: dict[str, list[_Value | None]] = {}
    schedules: set[str] = set()
    for part in _parts(document):
        if part.other_task or _is_training(part):
            continue
        for key, text in part.statements:
            name = _setting(key)
            schedule = text.strip("`. ").lower()
            if name == "scheduler" and schedule in NOISE_SCHEDULES:
                schedules.add(schedule)
            elif name is not None:
                stated.setdefault(name, []).append(_value(name, text))
        for line in part.prose:
            for name, value in statements_in_prose(line):
                in_prose.setdefault(name, []).append(value if _is_plausible(name, value) else None)
    if schedules == {"karras"}:
        stated["scheduler"] = [
            with_karras(value) if isinstance(value, Sampler) else value for value in stated.get("scheduler", [None])
        ]
    if stated.keys() & {"height", "width"}:
        stated["size"] = [None]
    if stated.keys() & {"cfg", "guidance_scale"}:
        in_prose = {name: values for name, values in in_prose.items() if name not in ("cfg", "guidance_scale")}
    return _agreed({**in_prose, **stated})


def _is_training(part: _Part) -> bool:
    """Whether its statements are about training; web UIs write the batch size of images, too, beside their sampler."""
    keys = {key.lower() for key, _ in part.statements if _TRAINING.match(key)}
    return bool(keys - {"batch size"} if any(key.lower() == "sampler" for key, _ in part.statements) else keys)


def _agreed(stated: dict[str, list[_Value | None]]) -> dict[str, Any]:
    """The values of which all statements agree."""
    agreed: dict[str, Any] = {}
    for name, values in stated.items():
        first = values[0]
        if isinstance(first, Sampler):
            # "DPM++ 2M" and "DPM++ 2M Karras" are one class.
            if all(isinstance(value, Sampler) and value.class_name == first.class_name for value in values):
                agreed["scheduler"] = first.class_name
                if first.settings and all(value == first for value in values):
                    agreed["scheduler_config"] = dict(first.settings)
        elif first is not None and all(value == first for value in values):
            if isinstance(first, tuple):
                agreed["width"], agreed["height"] = first
            else:
                agreed[name] = first
    return agreed


def _is_plausible(name: str, value: _Value | None) -> bool:
    if name == "num_inference_steps":
        return isinstance(value, int) and 1 <= value <= MAX_STEPS
    return name not in ("cfg", "guidance_scale") or (isinstance(value, float) and value <= MAX_SCALE)


def _setting(key: str) -> str | None:
    return next((name for name, pattern in _SETTINGS.items() if pattern.match(key)), None)


def _value(name: str, text: str) -> _Value | None:
    """The value in a statement; None: the statement is about the setting, but does not give one value."""
    if name == "size":
        size = _SIZE.match(text)
        return (int(size[1]), int(size[2])) if size else None
    if name == "scheduler":
        return sampler_named(text)
    if name == "negative_prompt":
        quoted = _QUOTED.match(text)
        return quoted[1].strip() if quoted else None
    return _number(name, text)


def _number(name: str, text: str) -> int | float | None:
    number = _NUMBER.match(text)
    if number is None:
        return None
    value = float(number[1])
    if name in ("guidance_scale", "cfg"):
        return value if value <= MAX_SCALE else None
    if not value.is_integer() or (name == "num_inference_steps" and not 1 <= value <= MAX_STEPS):
        return None
    return int(value)


def _parts(document: Document) -> Iterator[_Part]:
    """The statements by heading. A line in bold, or one that ends with a colon, is a heading of the lowest level."""
    other_task: dict[Heading, bool] = {}
    titled = False
    for section in document.sections:
        for heading in section.headings:
            if heading not in other_task:
                # The first heading is the model's name: below "Fine-tuned SDXL" there are settings for sampling.
                other_task[heading] = titled and _OTHER_TASK.search(heading.line.text) is not None
                titled = True
        other = any(other_task[heading] for heading in section.headings)
        part = _Part(other)
        if section.headings:
            part.prose.append(section.headings[-1].line.text)
        for block in section.blocks:
            if isinstance(block, Table):
                part.statements += _table([[cell.text for cell in row] for row in block.rows])
                continue
            lines = block.text() if isinstance(block, Code) else block.lines
            for line, following in itertools.zip_longest(lines, lines[1:]):
                text = _BULLET.sub("", line.text)
                statements = list(_statements(text, following.text if following is not None else ""))
                if text.endswith(":") or (_is_title(line, block) and not any(_setting(key) for key, _ in statements)):
                    yield part
                    part = _Part(other or (titled and _OTHER_TASK.search(text) is not None), prose=[text])
                    titled = True
                else:
                    part.statements += statements
                    if isinstance(block, Text) and not any(_setting(key) for key, _ in statements):
                        part.prose.append(text)
        yield part


def _is_title(line: Line, block: Text | Code) -> bool:
    return line.is_bold and isinstance(block, Text) and not block.in_list


def _statements(text: str, following: str) -> Iterator[tuple[str, str]]:
    # Web UIs write the negative prompt of an image in the line above its steps.
    if text.lower().startswith("negative prompt:") and re.match(r"Steps:\s*\d+,", following.strip()):
        yield "negative prompt", f"`{text.partition(':')[2].replace('`', '').strip()}`"
        return
    # They write them in one line, which authors put into sentences and parentheses.
    begin = _INFOTEXT.search(text) if "teps:" in text else None
    text = text[begin.start() :] if begin is not None else text
    if text.startswith("(") and text.endswith(")"):
        text = text[1:-1]
    if "teps:" in text and _FROM_IMAGE.search(text):
        return
    for part in _NEXT.split(_INTRODUCTION.sub("", text)):
        statement = _STATEMENT.match((part.replace("`", "", 2) if part.startswith("`") else part).strip())
        if statement is not None:
            yield statement[1].strip(), statement[2].strip()


def _table(rows: list[list[str]]) -> Iterator[tuple[str, str]]:
    """The statements of a table: each row is one, or its only row has the values of its header."""
    header, *values = rows or [[]]
    if len(values) == 1 and len(header) == len(values[0]):
        yield from zip(header, values[0], strict=True)
    for cells in values:
        # A note can follow the value; a second value disagrees with the first.
        yield from ((cells[0], cell) for cell in cells[1:] if len(cells) == 2 or _NUMBER.match(cell))
