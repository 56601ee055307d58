"""What a pipeline class of diffusers needs and returns, asked of the installed class itself.

There is no table of class names here, so a class that diffusers adds next month is understood next month. A
class tells by its `__call__`: the parameters it takes, which of them have no default, how they are annotated and
documented, and which output record it returns. Inputs made of pixels are the hard part, because diffusers gives
`image=None` both where an image is optional and where it is not; the annotation, the documentation,
diffusers' naming convention and its own task mapping decide (`_needs`).

diffusers and torch are imported inside the functions: importing this module costs nothing.
"""

import ast
import contextlib
import dataclasses
import functools
import inspect
import re
import textwrap
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from crawler.catalog import Task

#: What a call returns: one kind of thing for all its images, frames, ...
Output: TypeAlias = Literal["image", "video", "audio", "text", "other"]
#: A default that can be written down.
Plain: TypeAlias = bool | int | float | str | None

# Names of parameters that take pictures, films or sounds, or their embeddings.
_MEDIA = re.compile(r"(^|_)(images?|video|audio|hint|controls|mask)(_embeds|_embeddings|_image|_video)?$")
# Extras that every caller may leave out, whatever their annotation: adapters for prompting by picture, attention masks.
_NEVER_NEEDED = re.compile(r"ip_adapter|attention_mask|^(render_text|gligen_inpaint)_|embeds_mask$|^user_mask$")
# How diffusers names classes that start from a picture.
_PICTURE_CLASS = re.compile(r"Edit|Img2Img|Inpaint|Refiner|Upscale|SuperResolution|Control|Fill|ImageVariation|I2I")
# First field of an output record that says what the record holds.
_FIELDS: dict[str, Output] = {
    "images": "image",
    "image": "image",
    "frames": "video",
    "videos": "video",
    "video": "video",
    "audios": "audio",
    "audio": "audio",
    "texts": "text",
    "text": "text",
    "sequences": "text",
}
# Parameters only a film has; some film pipelines return their frames in a field called `images`.
_FILM_PARAMETERS = frozenset({"num_frames", "video_length", "num_videos_per_prompt", "frame_size"})
# diffusers imports its modules when they are asked for; two threads that ask at once may meet half a module.
_IMPORTING = threading.Lock()
#: What this project can supply to a call without a picture.
_SUPPLIED = frozenset({"prompt", "class_labels"})


@dataclass(frozen=True)
class PipelineTraits:
    """What a pipeline class needs and returns."""

    class_name: str
    #: None: it makes no image, or cannot without an input we do not have.
    task: Task | None
    #: It cannot be called without a picture, film, mask or image embedding.
    needs_input_image: bool
    output: Output
    #: Parameters of `__call__` without a default.
    required: frozenset[str]
    #: Names of all parameters of `__call__`.
    parameters: frozenset[str]
    #: Plain defaults (bool, int, float, str, None) of `__call__`, by parameter.
    defaults: Mapping[str, Plain]
    #: Components the constructor takes, in alphabetical order.
    components: tuple[str, ...]
    #: Those of them that may be absent (null in model_index.json).
    optional_components: frozenset[str]


@functools.cache
def describe(class_name: str) -> PipelineTraits | None:
    """What the pipeline class of that name needs and returns; None: the installed diffusers has no such pipeline.

    None too for classes that need a package which is not installed (ONNX, librosa, ...). Takes up to ten seconds at
    the first call, for importing diffusers.
    """
    with _importing():
        cls = pipeline_class(class_name)
        return None if cls is None else _describe(class_name, cls)


def _describe(class_name: str, cls: Any) -> PipelineTraits:
    call = inspect.unwrap(cls.__call__)
    arguments = {
        name: parameter
        for name, parameter in inspect.signature(call).parameters.items()
        if name != "self" and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }
    required = frozenset(name for name, argument in arguments.items() if argument.default is argument.empty)
    output = _output(call, arguments)
    needs = any(_needs(cls, call, argument) for argument in arguments.values())
    components, _ = cls._get_signature_keys(cls)
    return PipelineTraits(
        class_name=class_name,
        task=None if needs or output != "image" or required - _SUPPLIED else _task(arguments),
        needs_input_image=needs,
        output=output,
        required=required,
        parameters=frozenset(arguments),
        defaults=MappingProxyType(
            {
                name: argument.default
                for name, argument in arguments.items()
                if argument.default is None or isinstance(argument.default, bool | int | float | str)
            }
        ),
        components=tuple(components),
        optional_components=frozenset(cls._optional_components),
    )


def pipeline_class(class_name: str) -> Any:
    """The installed diffusers' pipeline class of that name, or None."""
    # The name comes from a stranger's file: ask diffusers for nothing that cannot be a class.
    if not re.fullmatch(r"[A-Z][A-Za-z0-9_]{0,99}", class_name, re.ASCII):
        return None
    import diffusers

    cls = getattr(diffusers, class_name, None)
    if not (isinstance(cls, type) and issubclass(cls, diffusers.DiffusionPipeline)):
        return None
    # Bases such as DiffusionPipeline have no call of their own: what `type` lends them is no function.
    return cls if inspect.isfunction(inspect.unwrap(cls.__call__)) else None


@functools.cache
def component_exists(library: str, class_name: str) -> bool:
    """Whether the installed libraries have a pipeline component of that class.

    `library` is what model_index.json names: diffusers, transformers, or one of diffusers' own pipeline modules,
    such as stable_diffusion.
    """
    # Lazy modules import on access, and say with one of these errors that a package they need is not there.
    with _importing(), contextlib.suppress(ImportError, RuntimeError):
        import diffusers
        import transformers
        from diffusers import pipelines

        if library in ("diffusers", "transformers"):
            modules = [diffusers if library == "diffusers" else transformers]
        else:
            modules = [getattr(folder, library, None) for folder in (pipelines, pipelines.deprecated)]
        return any(isinstance(getattr(module, class_name, None), type) for module in modules)
    return False


@contextlib.contextmanager
def _importing() -> Iterator[None]:
    """One thread at a time, and without the notices that transformers prints about packages it can do without."""
    with _IMPORTING:
        from transformers.utils import logging

        verbosity = logging.get_verbosity()
        logging.set_verbosity_error()
        try:
            yield
        finally:
            logging.set_verbosity(verbosity)


def _task(arguments: Mapping[str, inspect.Parameter]) -> Task | None:
    if "prompt" in arguments:
        return "text-to-image"
    labels = arguments.get("class_labels")
    if labels is not None and labels.default is labels.empty:
        return "class-conditional"
    return "unconditional" if "batch_size" in arguments else None


def _needs(cls: Any, call: Callable[..., Any], argument: inspect.Parameter) -> bool:
    """Whether a call fails without this argument, and the argument is a picture or made from one."""
    name = argument.name
    if not _MEDIA.search(name) or _NEVER_NEEDED.search(name):
        return False
    # Editing classes call their picture optional although they start from it; their names are honest.
    if argument.default is argument.empty or _PICTURE_CLASS.search(cls.__name__):
        return True
    documented = re.search(rf"^\s*{re.escape(name)}\s*\((.*?)\)\s*:", call.__doc__ or "", re.MULTILINE | re.DOTALL)
    said_optional = documented is not None and "optional" in documented[1]
    annotation = str(argument.annotation)
    if "None" not in annotation and "Optional" not in annotation:
        return not said_optional  # the `image: PipelineImageInput = None` of image-to-image classes
    return documented is not None and not said_optional and not _makes_images_from_text(cls)


def _makes_images_from_text(cls: Any) -> bool:
    from diffusers.pipelines.auto_pipeline import AUTO_TEXT2IMAGE_PIPELINES_MAPPING

    return cls in AUTO_TEXT2IMAGE_PIPELINES_MAPPING.values()


def _output(call: Callable[..., Any], arguments: Mapping[str, inspect.Parameter]) -> Output:
    """What a call returns, from the first field of the record it builds; combined pipelines name theirs in the
    documentation only."""
    names = [*_built_records(call), *re.findall(r"pipelines?\.(?:\w+\.)*(\w+Output)", call.__doc__ or "")]
    records = [getattr(inspect.getmodule(call), name, None) for name in names]
    fields = [dataclasses.fields(record)[0].name for record in records if dataclasses.is_dataclass(record)]
    output: Output = _FIELDS.get(fields[0], "other") if fields else "other"
    if not fields and "num_images_per_prompt" in arguments:
        output = "image"
    return "video" if output == "image" and _FILM_PARAMETERS & arguments.keys() else output


def _built_records(call: Callable[..., Any]) -> Iterator[str]:
    """Names of the classes whose instances the call returns."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(call)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name):
            yield node.value.func.id
