"""Examines images that others made, in a process behind the walls: it decodes them and asks the safety checker.

What it answers may be wrong in any way, but it is only data: it is checked, and what does not fit ends the process. A
file with which the process ends twice is broken; it costs no other one.
"""

import re
import tempfile
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from samplers.foreign.generation_settings import GenerationSettings
from samplers.sample import SUFFIXES
from workspace.errors import CommunityForensicsError
from workspace.limited.process import NO_SENSE, NONSENSE, LimitedProcess, LimitError, Limits, LostError
from workspace.printable import printable
from workspace.sandbox.limits import default_memory

#: Bytes of one file at most, as of images that are sampled here.
MAX_FILE = 256 * 10**6
#: Bytes of the files of one question.
_QUESTION = 512 * 10**6
#: Seconds: a batch on a slow processor may take minutes, and loading from a slow disk too.
_CLOCK, _PROCESSOR = 3600.0, 1800.0
#: Processes with which a single file may end.
_ATTEMPTS = 2
#: Characters of a text.
_LONGEST = 100_000
_HASH = re.compile(r"[0-9a-f]{16}", re.ASCII)
#: Pillow calls a JPEG with several pictures MPO; all readers take it for a JPEG, of its first picture.
_FORMATS = {**{name: name for name in SUFFIXES}, "MPO": "JPEG"}


@dataclass(frozen=True, kw_only=True)
class Examined:
    """What was found in an image file; columns as in `samplers.sample.Sample`."""

    format: str
    mode: str
    width: int
    height: int
    jpeg_quality: int | None
    chroma_subsampling: str | None
    progressive: bool | None
    has_exif: bool
    has_icc: bool
    has_c2pa: bool
    texts: dict[str, str]
    """What the file says, by field (`file_metadata`)."""
    settings: GenerationSettings | None
    perceptual_hash: str | None
    """None: not asked for, or an image of one colour."""
    blank: bool
    nsfw_flag: bool | None
    """None: blank, and not checked."""
    nsfw_score: float | None


@dataclass(frozen=True)
class Unusable:
    """Why a file is no image that can be taken."""

    detail: str


class Examiner:
    """A process that examines; a context manager that ends it."""

    def __init__(self, checker: Path | Callable[[], Path], device: str = "auto", hashes: bool = True) -> None:
        """`checker`: the folder of the safety checker's files, or what gives it when the first image is examined: then
        the process starts no earlier. `hashes`: whether perceptual hashes are computed.

        Raises `CommunityForensicsError` where the process does not start, or there is no working safety checker.
        """
        self._checker, self._wanted, self._hashes = checker, device, hashes
        home = tempfile.TemporaryDirectory(prefix="cf-examiner-")
        weakref.finalize(self, home.cleanup)
        self._home = Path(home.name)
        self._process: LimitedProcess | None = self._started() if isinstance(checker, Path) else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._process is not None:
            self._process.close()

    def start(self) -> None:
        """Start the process now, and not when the first image is examined, where it would be too late to find that it
        does not work. Raises `CommunityForensicsError`."""
        if self._process is None or not self._process.usable:
            self._process = self._started()

    @property
    def walls(self) -> tuple[str, ...]:
        """The walls around the process that stand; none before the first image."""
        return () if self._process is None else tuple(self._process.walls)

    def examine(self, files: Sequence[tuple[bytes, str]]) -> list[Examined | Unusable]:
        """What is found in each file, in order; a file is its bytes and the suffix of its name.

        Raises `CommunityForensicsError` where the safety checker does not work, or no process can be started.
        """
        found: list[Examined | Unusable] = []
        for some in _questions(files):
            try:
                found += self._ask(some)
            except (LostError, LimitError):
                for one in some:
                    found.append(self._alone(one))
        return found

    def _alone(self, file: tuple[bytes, str]) -> Examined | Unusable:
        """What is found in a file that may end the process."""
        last = ""
        for _ in range(_ATTEMPTS):
            try:
                return self._ask([file])[0]
            except (LostError, LimitError) as error:
                last = str(error)
        return Unusable(f"broken: the process that opens it {last}")

    def _ask(self, files: Sequence[tuple[bytes, str]]) -> list[Examined | Unusable]:
        known = [(number, file) for number, file in enumerate(files) if 0 < len(file[0]) <= MAX_FILE]
        found: list[Examined | Unusable] = [
            Unusable("empty: zero bytes" if not content else f"too-large: {len(content):,} bytes")
            for content, _ in files
        ]
        if not known:
            return found
        self.start()
        assert self._process is not None
        message = {
            "images": [{"suffix": suffix, "size": len(content)} for _, (content, suffix) in known],
            "hashes": self._hashes,
        }
        answer, _ = self._process.ask(message, b"".join(content for _, (content, _) in known))
        if "failed" in answer:
            raise CommunityForensicsError(f"the safety checker failed: {printable(str(answer['failed']))[:300]}")
        try:
            results = [_checked(one) for one in answer["images"]]
            for (number, _), result in zip(known, results, strict=True):
                found[number] = result
        except NONSENSE as error:
            self._process.close()
            raise LostError(NO_SENSE) from error
        return found

    def _started(self) -> LimitedProcess:
        # Files of a weight store may be links into another of its folders.
        checker = self._checker if isinstance(self._checker, Path) else self._checker()
        readable = {checker, *(path.resolve().parent for path in checker.iterdir())}
        process = LimitedProcess(
            "samplers.foreign.examining_process",
            Limits(processor=_PROCESSOR, clock=_CLOCK, memory=default_memory(), answer=1 << 26),
            readable=readable,
            home=self._home,
        )
        try:
            answer, _ = process.ask({"load": {"checker": str(checker), "device": self._wanted}})
        except (LostError, LimitError) as error:
            raise CommunityForensicsError(f"the process that opens images {error}") from error
        if "failed" in answer:
            process.close()
            raise CommunityForensicsError(printable(str(answer["failed"]))[:500])
        return process


def _questions(files: Sequence[tuple[bytes, str]]) -> list[list[tuple[bytes, str]]]:
    """The files in groups whose bytes one question may have."""
    groups: list[list[tuple[bytes, str]]] = []
    size = 0
    for file in files:
        length = len(file[0]) if len(file[0]) <= MAX_FILE else 0
        if not groups or size + length > _QUESTION:
            groups.append([])
            size = 0
        groups[-1].append(file)
        size += length
    return groups


def _checked(sent: dict[str, Any]) -> Examined | Unusable:
    """What the process says of a file; any of `NONSENSE` for nonsense."""
    if "unusable" in sent:
        return Unusable(printable(f"{sent['unusable']['reason']}: {sent['unusable']['detail']}")[:300])
    facts, compression = sent["facts"], sent["facts"]["compression"]
    if facts["format"] not in _FORMATS:
        return Unusable(f"other-format: {printable(str(facts['format']))[:20]} is none of {', '.join(SUFFIXES)}")
    blank = _of(sent["blank"], bool)
    found = Examined(
        format=_FORMATS[facts["format"]],
        mode=_of(facts["mode"], str)[:20],
        width=_of(facts["width"], int),
        height=_of(facts["height"], int),
        jpeg_quality=_of(compression["jpeg_quality"], int, None),
        chroma_subsampling=_of(compression["chroma_subsampling"], str, None),
        progressive=_of(compression["progressive"], bool, None),
        has_exif=_of(compression["has_exif"], bool),
        has_icc=_of(compression["has_icc"], bool),
        has_c2pa=_of(sent["c2pa"], bool),
        texts={printable(_of(name, str))[:200]: _text(text) for name, text in sent["texts"].items()},
        settings=None if sent["settings"] is None else _settings(sent["settings"]),
        perceptual_hash=_of(sent["hash"], str, None),
        blank=blank,
        nsfw_flag=None if blank else _of(sent["flagged"], bool),
        nsfw_score=None if blank else float(_of(sent["score"], float, int)),
    )
    if not 0 < found.width < 1 << 31 or not 0 < found.height < 1 << 31 or len(found.texts) > 1000:
        raise ValueError
    if found.perceptual_hash is not None and not _HASH.fullmatch(found.perceptual_hash):
        raise ValueError
    if found.jpeg_quality is not None and not 1 <= found.jpeg_quality <= 100:
        raise ValueError
    if found.chroma_subsampling is not None and not re.fullmatch("[0-9x:,]{1,40}", found.chroma_subsampling):
        raise ValueError
    if not blank and found.nsfw_flag is not (found.nsfw_score is not None and found.nsfw_score > 0):
        raise ValueError
    return found


def _settings(sent: dict[str, Any]) -> GenerationSettings:
    texts = {name: _of(sent[name], str, None) for name in ("prompt", "negative_prompt", "sampler", "model")}
    guidance = _of(sent["guidance_scale"], float, int, None)
    return GenerationSettings(
        written_by=_text(_of(sent["written_by"], str)),
        field=_text(_of(sent["field"], str)),
        steps=_of(sent["steps"], int, None),
        guidance_scale=None if guidance is None else float(guidance),
        seed=_of(sent["seed"], int, None),
        **{name: None if text is None else _text(text) for name, text in texts.items()},
    )


def _text(value: Any) -> str:
    return printable(_of(value, str))[:_LONGEST]


def _of(value: Any, *kinds: type | None) -> Any:
    """The value where it is of one of these types; raises `ValueError`."""
    if not any(value is None if kind is None else type(value) is kind for kind in kinds):
        raise ValueError(f"a {type(value).__name__}")
    return value
