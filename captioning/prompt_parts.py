"""Parts: the unit of captioning. A fixed number of images of one source, in order, makes one part file.

Which images are in which part depends on the selection and the part size only, and so do the batches that the captioner
gets; so any number of shards, killed at any time, write the same files. An existing part is finished, unless it is
damaged: then it is made again. The images of a
part without a prompt are in a skipped file beside it, which is written first.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from captioning.caption_text import DropReason
from captioning.captioner import Captioner
from captioning.cleaning import DroppedCaptionError, clean
from captioning.decoding import DecodeAll, DecodeResult, Job, Unusable, decode_in_process
from captioning.images import ImageFacts, UnusableImageError, fetch
from captioning.prompt import Prompt, numbers_of_parts
from captioning.removed_prompts import RemovedPrompt, read_removed, write_removed
from captioning.selection import Selection
from captioning.skipped import Skipped, SkipReason, skipped_name
from captioning.sources.own_prompts import OwnPrompts
from captioning.sources.source import Collection, RealImage
from captioning.target_size import TargetSize
from workspace import records
from workspace.containers import DamagedFileError
from workspace.errors import UsageError
from workspace.hub_access import HubAccess
from workspace.identity import number_of
from workspace.layout import Workspace, part_name
from workspace.roots import root_locator


@dataclass(frozen=True)
class Part:
    """The images of one part file: `ids`, sorted, the `number`-th slice of a selection, and the round that adds it."""

    selection: Selection
    number: int
    ids: Sequence[str]
    round: int = 1

    def path(self, workspace: Workspace) -> Path:
        """Its file of prompts."""
        return workspace.prompts_of(self.selection.source.name) / part_name(self.number)

    def skipped_path(self, workspace: Workspace) -> Path:
        """Its file of skipped images, which exists only if there are any."""
        return workspace.prompts_of(self.selection.source.name) / skipped_name(self.number)

    def is_finished(self, workspace: Workspace) -> bool:
        """Whether its file exists."""
        return self.path(workspace).exists()

    def is_whole(self, workspace: Workspace) -> bool:
        """Whether it is finished and its files can be read: a damaged part is made again, with the same rows."""
        try:
            records.verify(self.path(workspace), Prompt)
            if (skipped := self.skipped_path(workspace)).exists():
                records.verify(skipped, Skipped)
            read_removed(self.path(workspace))
        except UsageError:
            return False
        return True


@dataclass
class PartResult:
    """The rows of a part; `removed` are the places of prompts whose real images were removed from the workspace;
    `dropped` counts the data set's captions that cannot be prompts, by reason."""

    prompts: list[Prompt] = field(default_factory=list)
    removed: list[RemovedPrompt] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    dropped: Counter[DropReason] = field(default_factory=Counter)


@dataclass
class LookedAt:
    """The size at which the captioner looks at images; None: no image has needed it yet, and it is not loaded."""

    size: TargetSize | None = None


@dataclass(frozen=True)
class Captioning:
    """How images are captioned: the captioner's name in the rows, the function that loads it when the first image needs
    it, the images of one call, the function that decodes them, the Hub that hf:// sources are read from, and where a
    remark about a source goes."""

    captioner_name: str
    load: Callable[[], Captioner]
    batch_size: int
    decode: DecodeAll[Any] = decode_in_process
    hub: HubAccess = field(default_factory=HubAccess)
    remark: Callable[[str, str], None] = lambda source, line: None  # noqa: ARG005
    looked_at: LookedAt = field(default_factory=LookedAt)


def parts_of(selections: Iterable[Selection], part_size: int) -> list[Part]:
    """All parts of all selections, in order."""
    return [
        Part(selection, number, selection.ids[start : start + part_size])
        for selection in selections
        for number, start in enumerate(range(0, len(selection.ids), part_size))
    ]


def caption_part(part: Part, captioning: Captioning, advance: Callable[[], None]) -> PartResult:
    """Caption the images of a part; `advance` is called once for each. No image stops it."""
    result = PartResult()
    batch: list[_Uncaptioned] = []
    for candidate, first in captioning.decode(_jobs(part, captioning)):
        decoded = _for_captioner(candidate, first, captioning)
        if isinstance(decoded, Unusable):
            result.skipped.append(skipped_row(part, candidate.real_id, decoded.reason, decoded.detail))
        else:
            assert candidate.image is not None
            result.dropped.update(candidate.dropped)
            if candidate.caption is not None:
                result.prompts.append(_prompt(part, candidate.image, decoded.facts, candidate.caption, None))
            else:
                assert decoded.pixels is not None
                batch.append(_Uncaptioned(candidate.image, decoded.facts, decoded.pixels))
        if len(batch) == captioning.batch_size:
            _generate(part, captioning, batch, result)
            batch.clear()
        advance()
    if batch:
        _generate(part, captioning, batch, result)
    result.prompts.sort(key=lambda prompt: prompt.prompt_id)
    result.skipped.sort(key=lambda row: row.real_id)
    return result


@dataclass(frozen=True)
class _Candidate:
    """What is known of an image before it is decoded; `caption` is the data set's, cleaned, if it has a usable one."""

    real_id: str
    image: RealImage | None = None
    caption: str | None = None
    dropped: Counter[DropReason] = field(default_factory=Counter)
    content: bytes | None = None
    """The file's bytes, if it is in no file of its own."""


@dataclass(frozen=True)
class _Uncaptioned:
    """A decoded image that waits until its batch is complete."""

    image: RealImage
    facts: ImageFacts
    pixels: npt.NDArray[np.uint8]


def _jobs(part: Part, captioning: Captioning) -> Iterator[tuple[_Candidate, Job | Unusable]]:
    """The part's images, to be decoded; those that cannot be opened come as `Unusable`."""
    collection = part.selection.collection
    assert not isinstance(collection, OwnPrompts)
    for real_id in part.ids:
        try:
            _require_utf8(real_id)
            image = _open_image(collection, real_id)
            # Here and not in the decoding process, which has no network and no token.
            content = fetch(image.path, captioning.hub, image.within)
        except UnusableImageError as error:
            yield _Candidate(real_id), Unusable(error.reason, error.detail)
        else:
            candidate = _Candidate(real_id, image, *_choose_caption(image, part.selection.source.name), content)
            _remark_on(candidate, part, captioning)
            yield candidate, Job(image, captioning.looked_at.size if candidate.caption is None else None, content)


def _for_captioner(candidate: _Candidate, decoded: DecodeResult, captioning: Captioning) -> DecodeResult:
    """The image with its pixels, where the captioner has to look at it.

    The first such images are decoded twice: what is no image does not need the captioner, which may be a gigabyte that
    is not there.
    """
    if isinstance(decoded, Unusable) or candidate.caption is not None or decoded.pixels is not None:
        return decoded
    assert candidate.image is not None
    captioning.looked_at.size = captioning.load().target_size
    ((_, again),) = captioning.decode([(None, Job(candidate.image, captioning.looked_at.size, candidate.content))])
    return again


def _remark_on(candidate: _Candidate, part: Part, captioning: Captioning) -> None:
    """Say that the captions of an image are none, before one is generated."""
    reasons = [reason for reason in candidate.dropped if reason != "empty"]
    if candidate.caption is not None or candidate.image is None or not reasons:
        return
    example = next((f", {text[:60]!r}" for text in candidate.image.captions), "")
    captioning.remark(
        part.selection.source.name,
        f"the captions of {candidate.real_id!r} cannot be prompts ({', '.join(reasons)}{example}): for such images the "
        "captioner generates one; the log counts them",
    )


def _generate(part: Part, captioning: Captioning, batch: Sequence[_Uncaptioned], result: PartResult) -> None:
    """Caption a batch."""
    captions = captioning.load().caption([waiting.pixels for waiting in batch])
    for waiting, caption in zip(batch, captions, strict=True):
        try:
            prompt = _prompt(part, waiting.image, waiting.facts, clean(caption), captioning.captioner_name)
        except DroppedCaptionError as error:
            detail = f"{error.reason}: {caption!r}"[:200]
            result.skipped.append(skipped_row(part, waiting.image.real_id, "caption", detail))
        else:
            result.prompts.append(prompt)


def skipped_row(part: Part, real_id: str, reason: SkipReason, detail: str) -> Skipped:
    """The row of an image, or of an own prompt, that gives no prompt."""
    # A name that is not UTF-8 cannot be stored in a table as it is.
    printable = os.fsencode(real_id).decode("utf-8", "backslashreplace")
    return Skipped(real_source=part.selection.source.name, real_id=printable, reason=reason, detail=detail)


def write_part(workspace: Workspace, part: Part, result: PartResult, numbers: Mapping[str, int]) -> None:
    """Write a part's files: the skipped and the removed rows, if any, then the prompts, whose file marks the part as
    finished.

    `numbers`: how many parts each source has, which every part says, so that a missing one is noticed.
    """
    skipped_path = part.skipped_path(workspace)
    if result.skipped:
        records.write(skipped_path, Skipped, result.skipped)
    else:  # of an earlier run that was killed before its prompts were written
        skipped_path.unlink(missing_ok=True)
    write_removed(part.path(workspace), result.removed)
    records.write(part.path(workspace), Prompt, result.prompts, metadata=numbers_of_parts(numbers))


def _require_utf8(real_id: str) -> None:
    try:
        real_id.encode()
    except UnicodeEncodeError as error:
        raise UnusableImageError("name", "its name is not UTF-8: rename it") from error


def _open_image(collection: Collection, real_id: str) -> RealImage:
    try:
        return collection.image(real_id)
    except DamagedFileError as error:
        raise UnusableImageError("broken", str(error.strerror)[:200]) from error
    except OSError as error:
        raise UnusableImageError("unreadable", f"its caption cannot be read: {error.strerror}") from error


def _choose_caption(image: RealImage, source: str) -> tuple[str | None, Counter[DropReason]]:
    """One of the data set's captions, cleaned, chosen by a hash of the image's id; None if it has no usable one.

    Also how many captions cannot be prompts, by reason.
    """
    usable: list[str] = []
    dropped: Counter[DropReason] = Counter(image.dropped)
    for caption in image.captions:
        try:
            usable.append(clean(caption))
        except DroppedCaptionError as error:
            dropped[error.reason] += 1
    chosen = usable[number_of("caption", source, image.real_id) % len(usable)] if usable else None
    return chosen, dropped


def columns_of_image(part: Part, image: RealImage, facts: ImageFacts) -> dict[str, Any]:
    """The columns of a prompt that say what its real image is, and where."""
    source = part.selection.source
    # What is stated for the image replaces what is stated for the whole data set; the two are not mixed.
    stated = image if image.license is not None or image.redistributable is not None else source
    return {
        "real_id": image.real_id,
        "real_path": _locator(part.selection, image),
        "real_sha256": facts.sha256,
        "real_format": facts.format,
        "real_mode": facts.mode,
        "real_width": facts.width,
        "real_height": facts.height,
        "real_file_size": facts.file_size,
        "real_jpeg_quality": facts.compression.jpeg_quality,
        "real_chroma_subsampling": facts.compression.chroma_subsampling,
        "real_progressive": facts.compression.progressive,
        "real_has_exif": facts.compression.has_exif,
        "real_has_icc": facts.compression.has_icc,
        "license": stated.license,
        "license_link": source.license_link,
        "redistributable": stated.redistributable,
    }


def _locator(selection: Selection, image: RealImage) -> str:
    """Where the bytes of an image are, wherever its source is on the machine that reads them."""
    path, folder = str(image.path), f"{selection.folder}/"
    if selection.folder is None or not path.startswith(folder):
        return path
    return root_locator(selection.root or selection.source.name, path.removeprefix(folder))


def _prompt(part: Part, image: RealImage, facts: ImageFacts, caption: str, captioner: str | None) -> Prompt:
    source = part.selection.source
    return Prompt(
        prompt_id=f"{source.name}/{image.real_id}",
        prompt=caption,
        round=part.round,
        real_source=source.name,
        real_title=source.title or source.name,
        caption_origin="dataset" if captioner is None else "generated",
        captions=tuple(caption.encode("utf-8", "replace").decode() for caption in image.captions),
        captioner=captioner,
        **columns_of_image(part, image, facts),
    )
