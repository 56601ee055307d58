"""One batch of a pipeline, whatever its call is named like.

Pipelines differ in what they take: prompts, class labels or a batch size, steps or none, a list of random generators
or only one. The signature is asked, not a table of class names. Each image has a CPU `torch.Generator` of its own, so
that its noise does not depend on its neighbours or on the kind of GPU.

A pipeline that fails on a batch is asked one image at a time before it is given up (some refuse a list of
generators); one that runs out of memory is asked for half as many, and then made to save memory (`memory`), for the
whole of that generator.
"""

import inspect
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from crawler.reasons import Reason
from samplers.child.clock import Clock
from samplers.child.decoding import mend, watched
from samplers.child.failures import GeneratorError, OutOfMemoryError, in_words, is_out_of_memory
from samplers.child.loading import Generator
from samplers.child.memory import free_memory, next_step, place
from samplers.plan import Plan, Try
from samplers.sample import Memory

#: Arguments that decide what comes back, and to whom: never taken from a model card.
_OURS = frozenset(
    {
        "prompt",
        "class_labels",
        "batch_size",
        "generator",
        "output_type",
        "return_dict",
        "num_images_per_prompt",
        "latents",
    }
)


@dataclass(frozen=True)
class Shot:
    """One image as the pipeline gave it, and what it was asked with."""

    owed: Try
    picture: npt.NDArray[Any]
    """height x width x channels; floating point in [0, 1], or bytes"""
    call_size: int
    prompt: str | None
    class_label: int | None
    memory: Memory | None = None
    """how memory had to be saved"""
    vae_dtype: str | None = None
    """what its decoder worked in; None where none was seen"""


class Caller:
    """Asks one generator for batches."""

    def __init__(self, generator: Generator, plan: Plan, call_size: int, clock: Clock | None = None) -> None:
        self._pipeline = generator.pipeline
        self._device = generator.device
        self._clock = clock or Clock()
        self._decoder_dtypes = {
            component: component.dtype for component in _models(self._pipeline) if hasattr(component, "decode")
        }
        self.memory: Memory | None = generator.memory
        """How memory has to be saved."""
        self.mended = False
        """Whether the VAE was ever made to decode in another precision."""
        self._word = generator.word
        self._parameters = inspect.signature(self._pipeline.__call__).parameters
        self._call_size = call_size
        self._task = plan.task
        wanted = plan.hyperparameters
        self.num_inference_steps: int | None = self._value("num_inference_steps", wanted.num_inference_steps)
        self.guidance_scale: float | None = self._value("guidance_scale", wanted.guidance_scale)
        self.negative_prompt: str | None = self._value("negative_prompt", wanted.negative_prompt)
        self._classes = self._known_classes()
        # What nobody said is left to the pipeline, not repeated to it.
        said = {
            **plan.extra,
            "num_inference_steps": wanted.num_inference_steps,
            "guidance_scale": wanted.guidance_scale,
            "height": wanted.height,
            "width": wanted.width,
        }
        self._fixed = {
            name: value
            for name, value in said.items()
            if value is not None and name in self._parameters and name not in _OURS and "callback" not in name
        }
        if "output_type" in self._parameters:
            self._fixed["output_type"] = "np"

    @property
    def scheduler(self) -> str:
        """The scheduler's class; empty where the pipeline has none."""
        scheduler = getattr(self._pipeline, "scheduler", None)
        return type(scheduler).__name__ if scheduler is not None else ""

    def __call__(self, batch: tuple[Try, ...]) -> list[Shot]:
        """The batch's images, in order. Raises `GeneratorError` when the pipeline cannot make them."""
        while True:
            try:
                return self._in_calls_of(self._call_size, batch)
            except Exception as error:
                short, said = is_out_of_memory(error), in_words(error)
                if not short and self._call_size == 1:
                    raise _failure(error) from error
            # Only here, where the exception is gone, are the tensors of the failed call.
            self._recover()
            if not short:
                self._call_size = 1
            elif not self._make_do(min(self._call_size, len(batch))):
                raise OutOfMemoryError(said)

    def _recover(self) -> None:
        """Undo what a call that failed halfway left behind."""
        for decoder, dtype in self._decoder_dtypes.items():
            # Some pipelines raise their VAE's precision for the time of decoding.
            if decoder.dtype != dtype:
                decoder.to(dtype)
        free_memory()

    def _make_do(self, size: int) -> bool:
        """Go on with less memory than for `size` images in one call; False where nothing less is possible."""
        self._call_size = max(1, size // 2)
        if size > 1:
            return True
        step = next_step(self._pipeline, self._device, self.memory)
        if step is not None:
            place(self._pipeline, self._device, step)
            self.memory = step
        return step is not None

    def _in_calls_of(self, size: int, batch: tuple[Try, ...]) -> list[Shot]:
        return [
            shot for start in range(0, len(batch), size) for shot in self._call(batch[start : start + size], size == 1)
        ]

    def _call(self, owed: tuple[Try, ...], single: bool) -> list[Shot]:
        import torch

        # Some pipelines draw from the global generators as well: those follow from the first seed of the call.
        torch.manual_seed(owed[0].seed)
        np.random.seed(owed[0].seed % 2**32)
        random.seed(owed[0].seed)
        own = [torch.Generator("cpu").manual_seed(each.seed) for each in owed]
        arguments = dict(self._fixed)
        if "generator" in self._parameters:
            arguments["generator"] = own[0] if single else own
        prompts = [self._prompt(each) for each in owed]
        labels = [self._label(each) for each in owed]
        if self._task == "text-to-image":
            # A copy: some pipelines write their chat template into the list they are given.
            arguments["prompt"] = list(prompts)
            if self.negative_prompt is not None:
                arguments["negative_prompt"] = [self.negative_prompt] * len(owed)
        elif self._classes:
            arguments["class_labels"] = labels
        if "batch_size" in self._parameters:
            arguments["batch_size"] = len(owed)
        self._require(arguments)
        with torch.no_grad():
            with watched(self._pipeline, self._clock) as seen:
                pictures = _pictures(self._pipeline(**arguments))
            if len(pictures) != len(owed):
                raise GeneratorError("sample-failed", f"asked for {len(owed)} images, it gave {len(pictures)}")
            mended = mend(self._pipeline, pictures, seen, self._clock)
        self.mended |= bool(mended)
        decoded_in = seen[-1].dtype if seen else None
        return [
            Shot(
                each,
                pictures[number],
                len(owed),
                prompts[number],
                labels[number],
                self.memory,
                "float32" if number in mended else decoded_in,
            )
            for number, each in enumerate(owed)
        ]

    def _value(self, name: str, wanted: Any) -> Any:
        """What the call will use: what was wanted, else the pipeline's default; None where it takes no such
        argument."""
        if name not in self._parameters:
            return None
        default = self._parameters[name].default
        if wanted is None and isinstance(default, int | float | str):
            return default or None if isinstance(default, str) else default
        return wanted

    def _prompt(self, owed: Try) -> str | None:
        if self._task != "text-to-image" or owed.prompt is None:
            return None
        if self._word is not None and self._word not in owed.prompt:
            return f"{self._word}, {owed.prompt}"
        return owed.prompt

    def _label(self, owed: Try) -> int | None:
        """Classes in turn, so that each is asked for equally often."""
        return self._classes[owed.index % len(self._classes)] if self._classes else None

    def _known_classes(self) -> Sequence[int]:
        """The class ids the generator knows, in order; empty where it is not asked for any."""
        if self._task == "text-to-image" or "class_labels" not in self._parameters:
            return ()
        # Named classes are what it was trained on: the embedding may have room for more than those.
        named = getattr(self._pipeline, "labels", None)
        if isinstance(named, dict) and named:
            return sorted(set(named.values()))
        for component in self._pipeline.components.values():
            config = getattr(component, "config", None)
            for name in ("num_embeds_ada_norm", "num_class_embeds"):
                count = getattr(config, name, None)
                if isinstance(count, int) and count > 0:
                    return range(count)
        if self._task == "class-conditional":
            raise GeneratorError("sample-failed", "it wants class labels, but does not say how many classes there are")
        return ()

    def _require(self, arguments: dict[str, Any]) -> None:
        """Say what is missing before the pipeline does it in its own words."""
        wanted = [
            name
            for name, parameter in self._parameters.items()
            if parameter.default is parameter.empty
            and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
            and name not in arguments
        ]
        if wanted:
            raise GeneratorError("incompatible", f"its call needs {', '.join(wanted)}", Reason.NEEDS_OTHER_INPUT)
        if self._task == "text-to-image" and "prompt" not in self._parameters:
            raise GeneratorError("incompatible", "its call takes no prompt", Reason.NEEDS_OTHER_INPUT)


def _pictures(result: Any) -> list[npt.NDArray[Any]]:
    """The images of a pipeline's output, each height x width x channels."""
    images = getattr(result, "images", None)
    if images is None:
        detail = f"its call returns {type(result).__name__}, which has no images"
        raise GeneratorError("incompatible", detail, Reason.NO_IMAGE_OUTPUT)
    return [_picture(image) for image in images]


def _picture(image: Any) -> npt.NDArray[Any]:
    import torch

    if isinstance(image, torch.Tensor):
        image = image.float().cpu().numpy()
        image = np.moveaxis(image, 0, -1) if image.ndim == 3 else image
    return np.asarray(image)


def _failure(error: BaseException) -> GeneratorError:
    return error if isinstance(error, GeneratorError) else GeneratorError("sample-failed", in_words(error))


def _models(pipeline: Any) -> list[Any]:
    import torch

    return [component for component in pipeline.components.values() if isinstance(component, torch.nn.Module)]
