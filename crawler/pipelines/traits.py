"""What a pipeline class of diffusers needs and returns, asked of the installed class itself.

There is no table of class names here, so a class that diffusers adds next month is understood next month. A
class tells by its `__call__`: the parameters it takes, which of them have no default, how they are annotated and
documented, and which output record it returns. Inputs made of pixels are the hard part, because diffusers gives
`image=None` both where an image is optional and where it is not; the annotation, the documentation,
diffusers' naming convention and its own task mapping decide (`_needs`).

The class is read in diffusers' source and never imported (`crawler.pipelines.source_code`): torch stays out of a crawl.
"""

import ast
import functools
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

from crawler.catalog import Task
from crawler.pipelines.source_code import (
    Argument,
    ClassSource,
    MethodSource,
    class_in,
    folder_of,
    module_at,
    offered_by,
)
from crawler.text import Scalar

#: What a call returns: one kind of thing for all its images, frames, ...
Output: TypeAlias = Literal["image", "video", "audio", "text", "other"]

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
_IMPORTING = threading.Lock()
# Names that transformers 5 still answers to, though their classes lost the ending.
_FORMERLY_FAST = re.compile(r"(Tokenizer|ImageProcessor)Fast$")
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
    defaults: Mapping[str, Scalar]
    #: Components the constructor takes, in alphabetical order.
    components: tuple[str, ...]
    #: Those of them that may be absent (null in model_index.json).
    optional_components: frozenset[str]


@functools.cache
def describe(class_name: str) -> PipelineTraits | None:
    """What the pipeline class of that name needs and returns; None: the installed diffusers has no such pipeline.

    None too for classes that need a package which is not installed (ONNX, librosa, ...).
    """
    cls = _pipeline_class(class_name)
    call = cls.method("__call__") if cls is not None else None
    if cls is None or call is None:  # bases such as DiffusionPipeline have no call of their own
        return None
    arguments = {argument.name: argument for argument in call.arguments()}
    required = frozenset(name for name, argument in arguments.items() if argument.required)
    output = _output(call, arguments)
    needs = any(_needs(cls, call, argument) for argument in arguments.values())
    constructor = cls.method("__init__")
    parts = constructor.arguments() if constructor is not None else []
    optional = cls.attribute("_optional_components")
    optional = frozenset(optional if isinstance(optional, list | tuple) else ())
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
        # As `DiffusionPipeline._get_signature_keys` has it.
        components=tuple(sorted(part.name for part in parts if part.required or part.name in optional)),
        optional_components=optional,
    )


@functools.cache
def component_exists(library: str, class_name: str) -> bool:
    """Whether the installed libraries have a pipeline component of that class.

    `library` is what model_index.json names: diffusers, transformers, or one of diffusers' own pipeline modules,
    such as stable_diffusion.
    """
    if not re.fullmatch(r"[A-Z]\w*", class_name, re.ASCII):
        return False
    if library == "transformers":
        return class_name in _transformers_names() or _FORMERLY_FAST.sub(r"\1", class_name) in _transformers_names()
    diffusers = folder_of("diffusers")
    if diffusers is None or not re.fullmatch(r"\w+", library, re.ASCII):
        return False
    if library == "diffusers":
        return class_name in offered_by(diffusers)
    folders = (diffusers / "pipelines" / library, diffusers / "pipelines" / "deprecated" / library)
    for folder in folders:
        package = module_at(folder / "__init__")
        if package is None:
            continue
        # Some packages mend a class of another library in their own __init__.py, or pass it on.
        if class_name in offered_by(folder) or package.class_named(class_name) is not None:
            return True
        if package.takes_from("transformers", class_name) and class_name in _transformers_names():
            return True
    return False


def _transformers_names() -> frozenset[str]:
    # While transformers is being imported, a second thread is given the half of it that is there.
    with _IMPORTING:
        return _names_of_transformers()


@functools.cache
def _names_of_transformers() -> frozenset[str]:
    # Its own table of names: importing the package loads neither torch nor a model.
    import transformers

    return frozenset(dir(transformers))


def _pipeline_class(class_name: str) -> ClassSource | None:
    """The installed diffusers' pipeline class of that name, or None."""
    diffusers = folder_of("diffusers")
    # The name comes from a stranger's file: look for nothing that cannot be a class.
    if diffusers is None or not re.fullmatch(r"[A-Z][A-Za-z0-9_]{0,99}", class_name, re.ASCII):
        return None
    if class_name not in offered_by(diffusers):
        return None
    cls = class_in(diffusers / "pipelines", class_name)
    is_pipeline = cls is not None and any(one.node.name == "DiffusionPipeline" for one in cls.lineage())
    return cls if is_pipeline else None


def _task(arguments: Mapping[str, Argument]) -> Task | None:
    if "prompt" in arguments:
        return "text-to-image"
    labels = arguments.get("class_labels")
    if labels is not None and labels.required:
        return "class-conditional"
    return "unconditional" if "batch_size" in arguments else None


def _needs(cls: ClassSource, call: MethodSource, argument: Argument) -> bool:
    """Whether a call fails without this argument, and the argument is a picture or made from one."""
    name = argument.name
    if not _MEDIA.search(name) or _NEVER_NEEDED.search(name):
        return False
    # Editing classes call their picture optional although they start from it; their names are honest.
    if argument.required or _PICTURE_CLASS.search(cls.node.name):
        return True
    documented = re.search(rf"^\s*{re.escape(name)}\s*\((.*?)\)\s*:", call.documentation, re.MULTILINE | re.DOTALL)
    said_optional = documented is not None and "optional" in documented[1]
    if "None" not in argument.annotation and "Optional" not in argument.annotation:
        return not said_optional  # the `image: PipelineImageInput = None` of image-to-image classes
    return documented is not None and not said_optional and cls.node.name not in _makers_of_images_from_text()


@functools.cache
def _makers_of_images_from_text() -> frozenset[str]:
    """The classes in diffusers' own table of them."""
    diffusers = folder_of("diffusers")
    module = module_at(diffusers / "pipelines" / "auto_pipeline") if diffusers is not None else None
    return frozenset(
        node.id
        for statement in ast.walk(module.tree if module is not None else ast.Module([], []))
        if isinstance(statement, ast.Assign)
        and "AUTO_TEXT2IMAGE_PIPELINES_MAPPING" in ast.unparse(statement.targets[0])
        for node in ast.walk(statement.value)
        if isinstance(node, ast.Name)
    )


def _output(call: MethodSource, arguments: Mapping[str, Argument]) -> Output:
    """What a call returns, from the first field of the record it builds; combined pipelines name theirs in the
    documentation only."""
    names = [*_built_records(call), *re.findall(r"pipelines?\.(?:\w+\.)*(\w+Output)", call.documentation)]
    records = [record for name in names if (record := call.module.class_named(name)) is not None]
    fields = [record.fields()[0] for record in records if record.fields()]
    output: Output = _FIELDS.get(fields[0], "other") if fields else "other"
    if not fields and "num_images_per_prompt" in arguments:
        output = "image"
    return "video" if output == "image" and _FILM_PARAMETERS & arguments.keys() else output


def _built_records(call: MethodSource) -> Iterator[str]:
    """Names of the classes whose instances the call returns."""
    for node in ast.walk(call.node):
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name):
            yield node.value.func.id
