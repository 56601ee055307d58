"""One generator under way: batch by batch from where it stands, until it owes nothing or cannot go on."""

from collections.abc import Callable
from dataclasses import replace

from samplers.child.adapters import require_effect
from samplers.child.async_writer import AsyncWriter, Judged
from samplers.child.calling import Caller, Shot
from samplers.child.clock import Clock
from samplers.child.component_cache import ComponentCache
from samplers.child.failures import GeneratorError, OutOfMemoryError, in_words, is_out_of_memory
from samplers.child.gate import Pixels, judge
from samplers.child.loading import Generator, load
from samplers.child.memory import free_memory
from samplers.child.safety import Judgement, SafetyChecker
from samplers.child.writing import Writer
from samplers.messages import Assignment, Result
from samplers.outcomes import ending
from samplers.plan import ROUND
from samplers.sample import ImageFile, Sample, SampleStatus


class Sampling:
    """Carries out one assignment. Making it loads the generator, with what `cache` has of it; what may be shared
    is laid down there again when the generator ended well.

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
        cache: ComponentCache,
    ) -> None:
        self._assignment, self._plan, self._shelf = assignment, assignment.plan, cache
        self._checker, self._clock, self._moved = checker, clock, moved
        with clock("load"):
            self._generator = _loaded(assignment, device, cache)
            self._call = Caller(self._generator, self._plan, assignment.call_size, clock)
        self._device, self._libraries = _device_name(device), _libraries()

    def run(self) -> Result:
        """Sample, judge and write until the number is reached or the tries are spent; a part every few batches."""
        start = self._assignment
        self._moved(len(start.kept), start.next_index)
        if self._plan.kind == "lora" and start.next_index == 0:
            with self._clock("load"):
                require_effect(self._generator.pipeline, self._first_picture)
            self._moved(len(start.kept), start.next_index)
        writer = Writer(start.workspace, self._plan.model_name, start.next_part, self._plan.store)
        with AsyncWriter(writer, self._plan.images, start.next_index, start.kept, self._clock) as async_writer:
            for batch in self._plan.batches(start.next_index):
                with self._clock("sample"):
                    shots = self._call(batch)
                async_writer.hand_over(self._judged(shots))
                self._moved(async_writer.kept, async_writer.next_index)
                if async_writer.is_through():
                    break
            async_writer.finish()
        self._moved(async_writer.kept, async_writer.next_index)
        self._hand_on()
        status, detail = ending(async_writer.kept, self._plan.images, async_writer.next_index)
        return Result(status=status, detail=detail, seconds=self._clock.seconds)

    def _first_picture(self) -> bytes:
        """The first try, alone: in a batch the last bits of a picture depend on its neighbours."""
        return self._call(self._plan.tries[:1])[0].picture.tobytes()

    def _hand_on(self) -> None:
        """Lay down what the next generator may share; nothing of one that had to save memory."""
        if self._call.memory is None:
            changed = {"vae"} if self._call.mended else set()
            self._shelf.put_back(handle for handle in self._generator.handles if handle.identity.name not in changed)

    def _judged(self, shots: list[Shot]) -> list[Judged]:
        """Each shot's row and, where it passes every check, its pixels, in order."""
        with self._clock("check"):
            verdicts = [judge(shot.picture) for shot in shots]
            words = iter(self._checker.judge([verdict for verdict in verdicts if not isinstance(verdict, str)]))
        return [
            Judged(self._row(shot, verdict, None), None)
            if isinstance(verdict, str)
            else self._kept_or_flagged(shot, verdict, next(words))
            for shot, verdict in zip(shots, verdicts, strict=True)
        ]

    def _kept_or_flagged(self, shot: Shot, pixels: Pixels, word: Judgement) -> Judged:
        height, width = pixels.shape[:2]
        row = replace(self._row(shot, "nsfw" if word.flagged else "ok", word), height=height, width=width)
        return Judged(row, None if word.flagged else pixels)

    def _row(self, shot: Shot, status: SampleStatus, word: Judgement | None) -> Sample:
        """The row as far as it is known before there is a file."""
        return Sample(
            model_name=self._plan.model_name,
            revision=self._plan.revision,
            index=shot.owed.index,
            round=ROUND,
            status=status,
            image=ImageFile(),
            seed=shot.owed.seed,
            batch_size=shot.call_size,
            call_size=shot.call_size,
            device=self._device,
            dtype=self._generator.dtype,
            scheduler=self._call.scheduler,
            libraries=self._libraries,
            memory=shot.memory,
            vae_dtype=shot.vae_dtype,
            nsfw_flag=word.flagged if word else None,
            nsfw_score=word.score if word else None,
            prompt_id=shot.owed.prompt_id,
            prompt=shot.prompt,
            negative_prompt=self._call.negative_prompt,
            class_label=shot.class_label,
            real_source=shot.owed.real_source,
            num_inference_steps=self._call.num_inference_steps,
            guidance_scale=self._call.guidance_scale,
        )


def _loaded(assignment: Assignment, device: str, cache: ComponentCache) -> Generator:
    """The generator; where memory is short once more without what others left, then with models that wait elsewhere
    than on the device."""
    attempts = [assignment, assignment]
    if device != "cpu":
        attempts.append(replace(assignment, memory="offload"))
    said = ""
    for attempt in attempts:
        try:
            return load(attempt, device, cache)
        except GeneratorError:
            raise
        except Exception as error:
            # Strangers' files can make any library raise anything.
            said = in_words(error)
            if not is_out_of_memory(error):
                raise GeneratorError("load-failed", said) from error
        # Only here, where the exception is gone, is what was half loaded.
        cache.clear()
        free_memory()
    raise OutOfMemoryError(said)


def _device_name(device: str) -> str:
    import torch

    return "cpu" if device == "cpu" else str(torch.cuda.get_device_name(device))


def _libraries() -> str:
    import diffusers
    import torch
    import transformers

    return f"diffusers={diffusers.__version__}, torch={torch.__version__}, transformers={transformers.__version__}"
