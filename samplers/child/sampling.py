"""One generator under way: batch by batch from where it stands, until it owes nothing or cannot go on."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from samplers.child.calling import Caller, Shot
from samplers.child.failures import GeneratorError, OutOfMemoryError, in_words, is_out_of_memory
from samplers.child.gate import Pixels, judge
from samplers.child.loading import Generator, load
from samplers.child.safety import Judgement, SafetyChecker
from samplers.child.writing import Writer, encode_png, image_name
from samplers.messages import Assignment, Ended
from samplers.outcomes import ending
from samplers.plan import BATCHES_A_PART, ROUND
from samplers.sample import ImageFile, Sample, SampleStatus


class WorkspaceError(Exception):
    """The disk is full, or not ours to write: no generator's fault."""


class Clock:
    """Adds up the seconds of each phase."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        """Count the block's time as that of `phase`."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[phase] = self.seconds.get(phase, 0.0) + time.perf_counter() - started


class Sampling:
    """Carries out one assignment. Making it loads the generator.

    `moved` is told the images kept and the tries made whenever something is through, so that the supervisor sees that
    the child is alive. Both the constructor and `run` raise `GeneratorError` for what is the generator's fault,
    and `run` `WorkspaceError` for what is not.
    """

    def __init__(
        self,
        assignment: Assignment,
        checker: SafetyChecker,
        device: str,
        clock: Clock,
        moved: Callable[[int, int], None],
    ) -> None:
        self._plan, self._checker, self._clock, self._moved = assignment.plan, checker, clock, moved
        self._next_index = assignment.next_index
        self._kept = set(assignment.kept)
        self._writer = Writer(assignment.workspace, self._plan.model_name, assignment.next_part)
        with clock("load"):
            generator = _loaded(assignment, device)
            self._call = Caller(generator, self._plan, assignment.call_size)
        self._dtype, self._device, self._libraries = generator.dtype, _device_name(device), _libraries()

    def run(self) -> Ended:
        """Sample, judge and write until the number is reached or the tries are spent; a part every few batches."""
        self._moved(len(self._kept), self._next_index)
        rows: list[Sample] = []
        for count, batch in enumerate(self._plan.batches(self._next_index), start=1):
            with self._clock("sample"):
                shots = self._call(batch)
            rows += self._judged(shots)
            if rows and (self._reached or count % BATCHES_A_PART == 0):
                self._write_part(rows)
                rows = []
            self._moved(len(self._kept), self._next_index)
            if self._reached:
                break
        if rows:
            self._write_part(rows)
        status, detail = ending(len(self._kept), self._plan.images, self._next_index)
        return Ended(status=status, detail=detail, seconds=self._clock.seconds)

    @property
    def _reached(self) -> bool:
        return len(self._kept) >= self._plan.images

    def _judged(self, shots: list[Shot]) -> list[Sample]:
        """A row for each image that is still owed, in order, up to the one that reaches the number; those that pass
        are written."""
        verdicts = [judge(shot.picture) for shot in shots]
        with self._clock("check"):
            words = iter(self._checker.judge([verdict for verdict in verdicts if not isinstance(verdict, str)]))
        rows: list[Sample] = []
        for shot, verdict in zip(shots, verdicts, strict=True):
            word = None if isinstance(verdict, str) else next(words)
            if shot.owed.index < self._next_index or self._reached:
                continue
            if isinstance(verdict, str):
                row = self._row(shot, verdict, None, None, {})
            else:
                row = self._kept_or_flagged(shot, verdict, word)
            if row.sha256 is not None:
                self._kept.add(row.sha256)
            self._next_index = shot.owed.index + 1
            rows.append(row)
        return rows

    def _kept_or_flagged(self, shot: Shot, pixels: Pixels, word: Judgement | None) -> Sample:
        size = {"height": pixels.shape[0], "width": pixels.shape[1]}
        if word is None or word.flagged:
            return self._row(shot, "nsfw", word, None, size)
        with self._clock("encode"):
            png = encode_png(pixels)
        index = shot.owed.index
        with self._clock("write"), _as_workspace_error():
            sha256 = self._writer.image(index, png)
        about = {"image_name": image_name(index), "sha256": sha256, "format": "PNG"}
        mode = "L" if pixels.ndim == 2 else "RGB"
        return self._row(shot, "ok", word, self._writer.image_path(index), {**size, **about, "mode": mode})

    def _row(
        self, shot: Shot, status: SampleStatus, word: Judgement | None, path: str | None, about: dict[str, int | str]
    ) -> Sample:
        return Sample(
            model_name=self._plan.model_name,
            revision=self._plan.revision,
            index=shot.owed.index,
            round=ROUND,
            status=status,
            image=ImageFile(path=path),
            seed=shot.owed.seed,
            batch_size=shot.call_size,
            device=self._device,
            dtype=self._dtype,
            scheduler=self._call.scheduler,
            libraries=self._libraries,
            nsfw_flag=word.flagged if word else None,
            nsfw_score=word.score if word else None,
            prompt_id=shot.owed.prompt_id,
            prompt=shot.prompt,
            negative_prompt=self._call.negative_prompt,
            class_label=shot.class_label,
            real_source=shot.owed.real_source,
            num_inference_steps=self._call.num_inference_steps,
            guidance_scale=self._call.guidance_scale,
            **about,  # type: ignore[arg-type]
        )

    def _write_part(self, rows: list[Sample]) -> None:
        with self._clock("write"), _as_workspace_error():
            self._writer.part(rows)


def _loaded(assignment: Assignment, device: str) -> Generator:
    try:
        return load(assignment, device)
    except GeneratorError:
        raise
    except Exception as error:
        # Strangers' files can make any library raise anything.
        if is_out_of_memory(error):
            raise OutOfMemoryError(in_words(error)) from error
        raise GeneratorError("load-failed", in_words(error)) from error


@contextmanager
def _as_workspace_error() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WorkspaceError(str(error)) from error


def _device_name(device: str) -> str:
    import torch

    return "cpu" if device == "cpu" else str(torch.cuda.get_device_name(device))


def _libraries() -> str:
    import diffusers
    import torch
    import transformers

    return f"diffusers={diffusers.__version__}, torch={torch.__version__}, transformers={transformers.__version__}"
