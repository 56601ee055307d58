"""Parts of own prompts: each line of the user's file becomes a prompt, or a skipped row.

The real image of a prompt, where it has one, is decoded and measured as those of a source are. If it cannot be read,
the prompt is skipped with that reason: it was to describe this image.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from captioning.caption_text import DropReason
from captioning.cleaning import DroppedCaptionError, clean
from captioning.decoding import Job, Unusable
from captioning.images import UnusableImageError, fetch
from captioning.prompt import Prompt
from captioning.prompt_parts import Captioning, Part, PartResult, columns_of_image, skipped_row
from captioning.sources.own_prompts import OwnPrompts
from captioning.sources.prompt_file import OwnPrompt
from captioning.sources.source import RealImage


@dataclass(frozen=True)
class _WithImage:
    """A prompt, cleaned, whose image is decoded."""

    number: str
    own: OwnPrompt
    text: str
    image: RealImage


def own_part(part: Part, captioning: Captioning, advance: Callable[[], None]) -> PartResult:
    """The rows of a part of a set of own prompts; `advance` is called once for each."""
    own_prompts = part.selection.collection
    assert isinstance(own_prompts, OwnPrompts)
    result = PartResult()

    def jobs() -> Iterator[tuple[_WithImage | str, Job | Unusable]]:
        for number in part.ids:
            own = own_prompts.prompts[number]
            try:
                text = _cleaned(own)
                image = own_prompts.image_of(number)
                content = None if image is None else fetch(image.path, captioning.hub, image.within)
            except DroppedCaptionError as error:
                result.dropped[error.reason] += 1
                yield number, Unusable("caption", f"{error.reason}: {own.text!r}"[:200])
            except UnusableImageError as error:
                yield number, Unusable(error.reason, error.detail)
            else:
                if image is None:
                    result.prompts.append(_row(part, number, own, text))
                    advance()
                else:
                    yield _WithImage(number, own, text, image), Job(image, None, content)

    for key, decoded in captioning.decode(jobs()):
        number = key if isinstance(key, str) else key.number
        if isinstance(decoded, Unusable) or isinstance(key, str):
            assert isinstance(decoded, Unusable)
            result.skipped.append(skipped_row(part, number, decoded.reason, decoded.detail))
        else:
            columns = columns_of_image(part, key.image, decoded.facts)
            result.prompts.append(_row(part, number, key.own, key.text, **columns))
        advance()
    result.prompts.sort(key=lambda prompt: prompt.prompt_id)
    result.skipped.sort(key=lambda row: row.real_id)
    return result


def _cleaned(own: OwnPrompt) -> str:
    """The text as a prompt. Raises `DroppedCaptionError`."""
    reason: DropReason | None = own.dropped
    if reason is not None:
        raise DroppedCaptionError(reason)
    return clean(own.text)


def _row(part: Part, number: str, own: OwnPrompt, text: str, **columns: Any) -> Prompt:
    name = part.selection.source.name
    return Prompt(
        prompt_id=f"{name}/{number}",
        prompt=text,
        weight=own.weight,
        round=part.round,
        real_source=name,
        real_title=name,
        caption_origin="user",
        **columns,
    )
