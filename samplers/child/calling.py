"""One batch of a pipeline, whatever the arguments of its call are named.

Pipelines take different arguments: prompts, class labels or a batch size, steps or none, a list of random generators or
only one. So the signature of the call is inspected; there is no table of class names. Each image has a CPU
`torch.Generator` of its own, so that its noise depends neither on other images nor on the kind of GPU.

Where a pipeline fails on a batch, its images are sampled one at a time before it is given up (some pipelines refuse a
list of generators). Where it runs out of memory, calls are halved, and then it is made to save memory (`memory`), for
all further images of that generator.
"""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from crawler.reasons import Reason
from samplers.child.arguments import CallArguments
from samplers.child.clock import Clock
from samplers.child.decoding import decode_again, recorded
from samplers.child.failures import GeneratorError, OutOfMemoryError, is_out_of_memory
from samplers.child.loading import Generator
from samplers.child.memory import free_memory, next_saving, place_on_device
from samplers.planning.plan import Plan, PlannedSample
from samplers.sample import Memory
from workspace.device import works
from workspace.errors import in_one_line


@dataclass(frozen=True)
class SampledImage:
    """One image as the pipeline returned it, with the inputs it was made from."""

    planned: PlannedSample
    array: npt.NDArray[Any]
    """height x width x channels; floating point in [0, 1], or bytes"""
    call_size: int
    """Images of the same call."""
    prompt: str | None
    class_label: int | None
    memory: Memory | None = None
    """How memory was saved."""
    vae_dtype: str | None = None
    """The dtype in which it was decoded; None where no decoder ran."""


class Caller:
    """Samples batches from one generator."""

    def __init__(self, generator: Generator, plan: Plan, call_size: int, clock: Clock | None = None) -> None:
        self._pipeline = generator.pipeline
        self._device = generator.device
        self._clock = clock or Clock()
        self._decoder_dtypes = {
            component: component.dtype for component in _models(self._pipeline) if hasattr(component, "decode")
        }
        self.memory: Memory | None = generator.memory
        """How memory is saved."""
        self.decoded_again = False
        """Whether the VAE ever decoded in another precision."""
        self._tokens = generator.tokens
        self.arguments = CallArguments(self._pipeline, plan)
        self.call_size = call_size
        """Images of one call: fewer where memory was short."""
        self._task = plan.task
        self._sides = {
            name: getattr(plan.hyperparameters, name)
            for name in ("height", "width")
            if getattr(plan.sources, name) == "user"
        }
        self._classes = self._known_classes()
        self._require_trigger_words(plan)

    def __call__(self, batch: tuple[PlannedSample, ...]) -> list[SampledImage]:
        """The batch's images, in order. Raises `GeneratorError` when the pipeline cannot make them."""
        while True:
            try:
                return self._in_calls_of(self.call_size, batch)
            except Exception as error:
                short, detail = is_out_of_memory(error), in_one_line(error)
                if not short and (self.call_size == 1 or not works(self._device)):
                    raise _failure(error) from error
            # Only here, after the exception is released, the tensors of the failed call can be freed.
            self._recover()
            if not short:
                self.call_size = 1
            elif not self._save_memory(min(self.call_size, len(batch))):
                raise OutOfMemoryError(detail)

    def _recover(self) -> None:
        """Undo what a failed call left behind."""
        for decoder, dtype in self._decoder_dtypes.items():
            # Some pipelines raise their VAE's precision while it decodes.
            if decoder.dtype != dtype:
                decoder.to(dtype)
        free_memory()

    def _save_memory(self, size: int) -> bool:
        """Continue with less memory than calls of `size` images need; False where nothing saves more."""
        self.call_size = max(1, size // 2)
        if size > 1:
            return True
        saving = next_saving(self._pipeline, self._device, self.memory)
        if saving is None:
            return False
        try:
            place_on_device(self._pipeline, self._device, saving)
        except Exception as error:
            # Neither has the machine room for what is to wait there.
            if is_out_of_memory(error):
                return False
            raise
        self.memory = saving
        return True

    def _in_calls_of(self, size: int, batch: tuple[PlannedSample, ...]) -> list[SampledImage]:
        return [
            image
            for start in range(0, len(batch), size)
            for image in self._call(batch[start : start + size], size == 1)
        ]

    def _call(self, planned: tuple[PlannedSample, ...], single: bool) -> list[SampledImage]:
        import torch

        # Some pipelines draw from the global generators as well: their seed is the first one of the call.
        torch.manual_seed(planned[0].seed)
        np.random.seed(planned[0].seed % 2**32)
        random.seed(planned[0].seed)
        generators = [torch.Generator("cpu").manual_seed(one.seed) for one in planned]
        arguments = dict(self.arguments.fixed)
        if "generator" in self.arguments.parameters:
            arguments["generator"] = generators[0] if single else generators
        prompts = [self._prompt(one) for one in planned]
        labels = [self._label(one) for one in planned]
        if self._task == "text-to-image":
            # A copy: some pipelines write their chat template into the list.
            arguments["prompt"] = list(prompts)
            if self.arguments.negative_prompt is not None:
                arguments["negative_prompt"] = [self.arguments.negative_prompt] * len(planned)
        elif self._classes:
            arguments["class_labels"] = labels
        if "batch_size" in self.arguments.parameters:
            arguments["batch_size"] = len(planned)
        self._require(arguments)
        with torch.no_grad():
            with recorded(self._pipeline, self._clock) as decodes, _text_models(self._pipeline):
                images = _images(self._pipeline(**arguments))
            if len(images) != len(planned):
                detail = f"the pipeline returned {len(images)} images, not {len(planned)}"
                raise GeneratorError("sample-failed", detail)
            self._require_size(images)
            replaced = decode_again(self._pipeline, images, decodes, self._clock)
        self.decoded_again |= bool(replaced)
        dtype = decodes[-1].dtype if decodes else None
        return [
            SampledImage(
                one,
                images[number],
                len(planned),
                prompts[number],
                labels[number],
                self.memory,
                "float32" if number in replaced else dtype,
            )
            for number, one in enumerate(planned)
        ]

    def _require_size(self, images: list[npt.NDArray[Any]]) -> None:
        """Raise `GeneratorError` for images of another size than the user sets: many pipelines round sizes without an
        error."""
        for image in images:
            made = dict(zip(("height", "width"), image.shape, strict=False))
            for name, wanted in self._sides.items():
                if made[name] != wanted:
                    detail = f"the user sets {name}={wanted}, the pipeline makes images of {name} {made[name]}"
                    raise GeneratorError("sample-failed", detail)

    def _prompt(self, planned: PlannedSample) -> str | None:
        if self._task != "text-to-image" or planned.prompt is None:
            return None
        return self._with_tokens(planned.prompt)

    def _with_tokens(self, prompt: str) -> str:
        """The prompt with the tokens of added embeddings, unless it has one of them, or the negative prompt has: some
        embeddings are made for that."""
        if any(token in text for token in self._tokens for text in (prompt, self.arguments.negative_prompt or "")):
            return prompt
        return f"{''.join(self._tokens)}, {prompt}" if self._tokens else prompt

    def _require_trigger_words(self, plan: Plan) -> None:
        words = plan.trigger_words
        prompts = (self._prompt(planned) for planned in plan.samples)
        without = next((prompt for prompt in prompts if words and prompt is not None and words not in prompt), None)
        if without is not None:
            detail = f"trigger words: the catalogue declares {words!r}, the prompt is {without!r}"
            raise GeneratorError("load-failed", detail)

    def _label(self, planned: PlannedSample) -> int | None:
        """Classes in turn, so that each is sampled equally often."""
        return self._classes[planned.index % len(self._classes)] if self._classes else None

    def _known_classes(self) -> Sequence[int]:
        """The class ids of the generator, in order; empty where it takes none."""
        if self._task == "text-to-image" or "class_labels" not in self.arguments.parameters:
            return ()
        # The named classes are those it was trained on: the embedding may have room for more.
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
            raise GeneratorError(
                "sample-failed", "the pipeline needs class labels, and the number of classes is unknown"
            )
        return ()

    def _require(self, arguments: dict[str, Any]) -> None:
        """Raise `GeneratorError` for arguments that the call needs and does not get."""
        missing = [
            name
            for name, parameter in self.arguments.parameters.items()
            if parameter.default is parameter.empty
            and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
            and name not in arguments
        ]
        if missing:
            detail = f"the pipeline needs the arguments {', '.join(missing)}"
            raise GeneratorError("incompatible", detail, Reason.NEEDS_OTHER_INPUT)
        if self._task == "text-to-image" and "prompt" not in self.arguments.parameters:
            raise GeneratorError("incompatible", "the pipeline takes no prompt", Reason.NEEDS_OTHER_INPUT)


def _images(result: Any) -> list[npt.NDArray[Any]]:
    """The images of a pipeline's output, each height x width x channels."""
    images = getattr(result, "images", None)
    if images is None:
        detail = f"the pipeline returns {type(result).__name__}, which has no images"
        raise GeneratorError("incompatible", detail, Reason.NO_IMAGE_OUTPUT)
    return [_as_array(image) for image in images]


def _as_array(image: Any) -> npt.NDArray[Any]:
    import torch

    if isinstance(image, torch.Tensor):
        image = image.float().cpu().numpy()
        image = np.moveaxis(image, 0, -1) if image.ndim == 3 else image
    return np.asarray(image)


def _failure(error: BaseException) -> GeneratorError:
    return error if isinstance(error, GeneratorError) else GeneratorError("sample-failed", in_one_line(error))


def _models(pipeline: Any) -> list[Any]:
    import torch

    return [component for component in pipeline.components.values() if isinstance(component, torch.nn.Module)]


@contextmanager
def _text_models(pipeline: Any) -> Iterator[None]:
    """Give CLIP's text encoders the attribute `text_model` while `pipeline` is called.

    With `clip_skip`, pipelines take the last normalisation from there; since version 5 of transformers it is in the
    encoder itself. Only for the call: adapters are loaded by whether the attribute exists.
    """
    encoders = [model for model in _models(pipeline) if hasattr(model, "final_layer_norm")]
    flat = [encoder for encoder in encoders if not hasattr(encoder, "text_model")]
    for encoder in flat:
        # Not a module of itself, as by an ordinary assignment.
        encoder.__dict__["text_model"] = encoder
    try:
        yield
    finally:
        for encoder in flat:
            del encoder.__dict__["text_model"]
