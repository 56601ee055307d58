"""Parts: the unit of captioning. A fixed number of images of one source, in order, makes one part file.

Which images are in which part follows from the selection and the part size alone, and so do the batches that the
captioner is given; so any number of shards, killed at any time, write the same files. A part that exists is done.
The images of a part that gave no prompt stand in a skipped file beside it, which is written first.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from captioning.captioner import Captioner
from captioning.cleaning import DroppedCaptionError, DropReason, clean
from captioning.decoding import Decode, Job, Refusal, decode_here
from captioning.images import ImageFacts, UnusableImageError, fetch
from captioning.prompt import Prompt
from captioning.selection import Selection
from captioning.skipped import Skipped, SkipReason, skipped_name
from captioning.sources.source import RealImage
from workspace import records
from workspace.identity import seed_of
from workspace.layout import Workspace, part_name


@dataclass(frozen=True)
class Part:
    """The images of one part file: `ids`, sorted, the `number`-th slice of a selection."""

    selection: Selection
    number: int
    ids: Sequence[str]

    def is_done(self, workspace: Workspace) -> bool:
        """Whether its file is there."""
        return (workspace.prompts_of(self.selection.source.name) / part_name(self.number)).exists()


@dataclass
class Captioned:
    """What became of a part's images; `dropped` counts the data set's own captions that cleaning refused."""

    prompts: list[Prompt] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    dropped: Counter[DropReason] = field(default_factory=Counter)


@dataclass(frozen=True)
class Captioning:
    """How images are captioned: by whom (`load` is called when the first image needs it), how many at once, and who
    decodes them."""

    captioner_name: str
    load: Callable[[], Captioner]
    batch_size: int
    decode: Decode[Any] = decode_here


def parts_of(selections: Iterable[Selection], part_size: int) -> list[Part]:
    """All parts of all selections, in order."""
    return [
        Part(selection, number, selection.ids[start : start + part_size])
        for selection in selections
        for number, start in enumerate(range(0, len(selection.ids), part_size))
    ]


def caption_part(part: Part, captioning: Captioning, advance: Callable[[], None]) -> Captioned:
    """Caption the images of a part; `advance` is called once for each. No image stops it."""
    captioned = Captioned()
    waiting: list[_Waiting] = []
    for asked, outcome in captioning.decode(_jobs(part, captioning)):
        if isinstance(outcome, Refusal):
            captioned.skipped.append(_skipped(part, asked.real_id, outcome.reason, outcome.detail))
        else:
            assert asked.image is not None
            captioned.dropped.update(asked.dropped)
            if asked.own is not None:
                captioned.prompts.append(_prompt(part, asked.image, outcome.facts, asked.own, None))
            else:
                assert outcome.view is not None
                waiting.append(_Waiting(asked.image, outcome.facts, outcome.view))
        if len(waiting) == captioning.batch_size:
            _generate(part, captioning, waiting, captioned)
            waiting.clear()
        advance()
    if waiting:
        _generate(part, captioning, waiting, captioned)
    captioned.prompts.sort(key=lambda prompt: prompt.real_id)
    captioned.skipped.sort(key=lambda row: row.real_id)
    return captioned


@dataclass(frozen=True)
class _Asked:
    """What is known of an image before it is decoded; `own` is its own caption, where it has a usable one."""

    real_id: str
    image: RealImage | None = None
    own: str | None = None
    dropped: Counter[DropReason] = field(default_factory=Counter)


@dataclass(frozen=True)
class _Waiting:
    """A decoded image that waits for its batch to be full."""

    image: RealImage
    facts: ImageFacts
    view: npt.NDArray[np.uint8]


def _jobs(part: Part, captioning: Captioning) -> Iterator[tuple[_Asked, Job | Refusal]]:
    """The part's images, to be decoded; those that cannot even be asked for are refused."""
    for real_id in part.ids:
        try:
            _require_utf8(real_id)
            image = _described(part, real_id)
            content = fetch(image.path)
        except UnusableImageError as error:
            yield _Asked(real_id), Refusal(error.reason, error.detail)
        else:
            asked = _Asked(real_id, image, *_own_caption(image, part.selection.source.name))
            yield asked, Job(image, captioning.load().target_size if asked.own is None else None, content)


def _generate(part: Part, captioning: Captioning, batch: Sequence[_Waiting], captioned: Captioned) -> None:
    """Caption a batch."""
    said = captioning.load().caption([waiting.view for waiting in batch])
    for waiting, caption in zip(batch, said, strict=True):
        try:
            prompt = _prompt(part, waiting.image, waiting.facts, clean(caption), captioning.captioner_name)
        except DroppedCaptionError as error:
            detail = f"{error.reason}: {caption!r}"[:200]
            captioned.skipped.append(_skipped(part, waiting.image.real_id, "caption", detail))
        else:
            captioned.prompts.append(prompt)


def _skipped(part: Part, real_id: str, reason: SkipReason, detail: str) -> Skipped:
    # A name that is not UTF-8 fits in no table as it is.
    printable = os.fsencode(real_id).decode("utf-8", "backslashreplace")
    return Skipped(real_source=part.selection.source.name, real_id=printable, reason=reason, detail=detail)


def write_part(workspace: Workspace, part: Part, captioned: Captioned) -> None:
    """Write a part's files: the skipped rows where there are any, then the prompts, which say that it is done."""
    folder = workspace.prompts_of(part.selection.source.name)
    if captioned.skipped:
        records.write(folder / skipped_name(part.number), Skipped, captioned.skipped)
    else:  # of an earlier try that was killed before its prompts were written
        (folder / skipped_name(part.number)).unlink(missing_ok=True)
    records.write(folder / part_name(part.number), Prompt, captioned.prompts)


def _require_utf8(real_id: str) -> None:
    try:
        real_id.encode()
    except UnicodeEncodeError as error:
        raise UnusableImageError("name", "its name is not UTF-8: rename it") from error


def _described(part: Part, real_id: str) -> RealImage:
    try:
        return part.selection.collection.image(real_id)
    except OSError as error:
        raise UnusableImageError("unreadable", f"the caption beside it: {error.strerror}") from error


def _own_caption(image: RealImage, source: str) -> tuple[str | None, Counter[DropReason]]:
    """One of the data set's own captions, cleaned: a hash of the image's name says which. None where there is none.

    Beside it, how many were dropped and why.
    """
    usable: list[str] = []
    dropped: Counter[DropReason] = Counter()
    for caption in image.captions:
        try:
            usable.append(clean(caption))
        except DroppedCaptionError as error:
            dropped[error.reason] += 1
    chosen = usable[seed_of("caption", source, image.real_id) % len(usable)] if usable else None
    return chosen, dropped


def _prompt(part: Part, image: RealImage, facts: ImageFacts, caption: str, captioner: str | None) -> Prompt:
    source = part.selection.source
    # What is said of the image itself comes before what is said of the data set as a whole, and is not mixed with it.
    stated = image if image.license is not None or image.redistributable is not None else source
    return Prompt(
        prompt_id=f"{source.name}/{image.real_id}",
        prompt=caption,
        real_source=source.name,
        real_title=source.title or source.name,
        real_id=image.real_id,
        real_path=str(image.path),
        real_sha256=facts.sha256,
        real_format=facts.format,
        real_mode=facts.mode,
        real_width=facts.width,
        real_height=facts.height,
        caption_origin="dataset" if captioner is None else "blip",
        captions=tuple(caption.encode("utf-8", "replace").decode() for caption in image.captions),
        captioner=captioner,
        license=stated.license,
        license_link=source.license_link,
        redistributable=stated.redistributable,
    )
