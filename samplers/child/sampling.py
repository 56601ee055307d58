"""One generator being sampled: batch by batch from its first missing sample, until it is finished or fails."""

from dataclasses import asdict, replace
from importlib import metadata

from samplers.child.adapters import require_effect
from samplers.child.batch_sender import BatchSender, CheckedImage
from samplers.child.calling import Caller, SampledImage
from samplers.child.clock import Clock
from samplers.child.component_cache import ComponentCache
from samplers.child.failures import GeneratorError, OutOfMemoryError, is_out_of_memory
from samplers.child.loading import Generator, load
from samplers.child.memory import free_memory
from samplers.child.numerics import cpu_arithmetic
from samplers.child.outbox import Outbox
from samplers.child.pixel_checks import Pixels, check_pixels
from samplers.child.safety import SafetyChecker, SafetyResult
from samplers.messages import Assignment, Progress, Result
from samplers.outcomes import Status
from samplers.planning.plan import Plan
from samplers.sample import ImageFile, Sample, SampleStatus
from workspace.errors import in_one_line


class Sampling:
    """Carries out assignments of one generator.

    The constructor loads the generator, with components that `cache` has of it. Further assignments of the same
    generator may follow (`continues`); at its end, components that may be shared are put back (`put_back`).
    Whenever a step is finished `outbox` says so, so that the supervisor sees
    that the child is alive. Constructor and `run` raise `GeneratorError` for failures of the generator.
    """

    def __init__(
        self,
        assignment: Assignment,
        checker: SafetyChecker,
        device: str,
        clock: Clock,
        outbox: Outbox,
        cache: ComponentCache,
    ) -> None:
        self._assignment, self._plan, self._cache = assignment, assignment.plan, cache
        self._checker, self.clock, self._outbox = checker, clock, outbox
        with clock("load"):
            self._generator = _loaded(assignment, device, cache)
            self._caller = Caller(self._generator, self._plan, assignment.call_size, clock)
        self._device, self._libraries = _device_name(device), _libraries(self._plan)
        self._cpu_threads, self._cpu_instructions = cpu_arithmetic(device)
        self._is_checked = False

    def continues(self, assignment: Assignment) -> bool:
        """Whether this assignment is for what is loaded, as it is now; `run` carries it out then."""
        same = replace(
            self._assignment,
            first=assignment.first,
            stop=assignment.stop,
            images=assignment.images,
            kept=assignment.kept,
            stays=assignment.stays,
            call_size=self._caller.call_size,
            memory=self._caller.memory,
        )
        if same != assignment:
            return False
        self._assignment = assignment
        return True

    def run(self) -> Result:
        """Sample, check and send until the assigned samples are made, or the number of images is reached."""
        start, stop = self._assignment, self._assignment.stop or self._plan.stop
        self._report(start.first)
        if self._plan.kind == "lora" and not self._is_checked:
            self._is_checked = True
            with self.clock("load"):
                require_effect(self._generator.pipeline, self._first_image)
            self._report(start.first)
        with BatchSender(self._outbox, start.images, start.first, start.kept, self.clock) as sender:
            for batch in self._plan.batches(start.first, stop):
                with self.clock("sample"):
                    images = self._caller(batch)
                sender.add([one for one in self._checked(images) if one.row.index < stop])
                self._report(batch[-1].index + 1)
                if sender.is_finished():
                    break
            sender.finish()
        status: Status = "done" if start.images is None or sender.kept >= start.images else "exhausted"
        return Result(status=status, seconds=self.clock.take())

    def _report(self, tries: int) -> None:
        self._outbox.send(Progress(tries=tries))

    def _first_image(self) -> bytes:
        """The first sample, alone: in a batch the last bits of an image depend on the other images."""
        return self._caller(self._plan.samples[:1])[0].array.tobytes()

    def put_back(self) -> None:
        """Put the components back that the next generator may share; none of a generator that had to save memory."""
        if self._caller.memory is None:
            changed = {"vae"} if self._caller.decoded_again else set()
            self._cache.put_back(handle for handle in self._generator.handles if handle.identity.name not in changed)

    def _checked(self, images: list[SampledImage]) -> list[CheckedImage]:
        """Each image's row and, where it passes every check, its pixels, in order."""
        with self.clock("check"):
            found = [check_pixels(image.array) for image in images]
            results = iter(self._checker.check([pixels for pixels in found if not isinstance(pixels, str)]))
        return [
            CheckedImage(self._row(image, pixels, None), None)
            if isinstance(pixels, str)
            else self._kept_or_flagged(image, pixels, next(results))
            for image, pixels in zip(images, found, strict=True)
        ]

    def _kept_or_flagged(self, image: SampledImage, pixels: Pixels, result: SafetyResult) -> CheckedImage:
        height, width = pixels.shape[:2]
        row = replace(self._row(image, "nsfw" if result.flagged else "ok", result), height=height, width=width)
        return CheckedImage(row, None if result.flagged else pixels)

    def _row(self, image: SampledImage, status: SampleStatus, result: SafetyResult | None) -> Sample:
        """The row as far as it is known before there is a file."""
        arguments = self._caller.arguments
        return Sample(
            model_name=self._plan.model_name,
            revision=self._plan.revision,
            index=image.planned.index,
            round=self._plan.round,
            status=status,
            image=ImageFile(),
            seed=image.planned.seed,
            batch_size=self._plan.batch_size,
            call_size=image.call_size,
            device=self._device,
            libraries=self._libraries,
            cpu_threads=self._cpu_threads,
            cpu_instructions=self._cpu_instructions,
            memory=image.memory,
            vae_dtype=image.vae_dtype,
            nsfw_flag=result.flagged if result else None,
            nsfw_score=result.score if result else None,
            prompt_id=image.planned.prompt_id,
            prompt=image.prompt,
            negative_prompt=arguments.negative_prompt,
            class_label=image.class_label,
            real_source=image.planned.real_source,
            num_inference_steps=arguments.num_inference_steps,
            guidance_scale=arguments.guidance_scale,
            clip_skip=arguments.clip_skip,
            **asdict(self._generator.effective),
        )


def _loaded(assignment: Assignment, device: str, cache: ComponentCache) -> Generator:
    """The generator; where memory is short, once more without the components of the previous generator, then with
    models that wait in the machine's memory."""
    attempts = [assignment, assignment]
    if device != "cpu":
        attempts.append(replace(assignment, memory="offload"))
    detail = ""
    for attempt in attempts:
        try:
            return load(attempt, device, cache)
        except GeneratorError:
            raise
        except Exception as error:
            # Untrusted files can make any library raise any exception.
            detail = in_one_line(error)
            if not is_out_of_memory(error):
                raise GeneratorError("load-failed", detail) from error
        # Only here, after the exception is released, what was partly loaded can be freed.
        cache.clear()
        free_memory()
    raise OutOfMemoryError(detail)


def _device_name(device: str) -> str:
    import torch

    return "cpu" if device == "cpu" else str(torch.cuda.get_device_name(device))


def _libraries(plan: Plan) -> str:
    """The versions of what computed: of a program also those of the packages that it says it imports."""
    import diffusers
    import torch
    import transformers

    found = {one.__name__: str(one.__version__) for one in (diffusers, torch, transformers)}
    if plan.program is not None:
        distributions = metadata.packages_distributions()
        for package in plan.program.packages:
            for name in sorted(set(distributions.get(package, ()))):
                found[name] = metadata.version(name)
    return ", ".join(f"{name}={version}" for name, version in found.items())
