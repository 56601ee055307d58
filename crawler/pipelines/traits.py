"""What a pipeline class of diffusers needs and returns, read from the source code of the installed class.

There is no table of class names here, so a class that diffusers adds later is understood without a change. The source
of truth is `__call__`: its parameters, which of them have no default, their annotations and documentation, and the
output record that it returns. Input images are difficult: diffusers writes `image=None` both for an optional image and
for a required one. The annotation, the documentation, the name of the class and diffusers' own table of tasks decide
(`_needs_media`).

The class is never imported (`crawler.pipelines.source_code`), so a crawl does not load torch.
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
    module_at,
    package_folder,
    public_names,
)
from crawler.text import Scalar

#: The type of what a call returns.
Output: TypeAlias = Literal["image", "video", "audio", "text", "other"]

# Parameters for images, videos or audio, or for their embeddings.
_MEDIA = re.compile(r"(^|_)(images?|video|audio|hint|controls|mask)(_embeds|_embeddings|_image|_video)?$")
# Parameters that are always optional, whatever their annotation: IP adapters, attention masks.
_NEVER_NEEDED = re.compile(r"ip_adapter|attention_mask|^(render_text|gligen_inpaint)_|embeds_mask$|^user_mask$")
# Names of classes that need an image.
_IMAGE_INPUT_CLASS = re.compile(r"Edit|Img2Img|Inpaint|Refiner|Upscale|SuperResolution|Control|Fill|ImageVariation|I2I")
# Types of the output by the first field of an output record.
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
# Parameters that only video pipelines have; some of them return their frames in a field named `images`.
_VIDEO_PARAMETERS = frozenset({"num_frames", "video_length", "num_videos_per_prompt", "frame_size"})
_IMPORTING = threading.Lock()
# Names that transformers 5 still resolves, although its classes do not have this ending any more.
_FORMERLY_FAST = re.compile(r"(Tokenizer|ImageProcessor)Fast$")
#: Required parameters that the sampler can provide.
_SUPPLIED = frozenset({"prompt", "class_labels"})


@dataclass(frozen=True)
class PipelineTraits:
    """What a pipeline class needs and returns."""

    class_name: str
    #: None: it does not generate images, or needs an input that the sampler does not have.
    task: Task | None
    #: Whether a call needs an image, a video, a mask or an image embedding.
    needs_input_image: bool
    output: Output
    #: Parameters of `__call__` without a default.
    required: frozenset[str]
    #: Names of all parameters of `__call__`.
    parameters: frozenset[str]
    #: Plain defaults (bool, int, float, str, None) of `__call__`, by parameter.
    defaults: Mapping[str, Scalar]
    #: Components that the constructor takes, in alphabetical order.
    components: tuple[str, ...]
    #: Those of them that can be missing (null in model_index.json).
    optional_components: frozenset[str]


@functools.cache
def describe(class_name: str) -> PipelineTraits | None:
    """The traits of the pipeline class of that name; None: the installed diffusers has no such pipeline.

    Also None for classes that need a package which is not installed (ONNX, librosa, ...).
    """
    cls = _pipeline_class(class_name)
    call = cls.method("__call__") if cls is not None else None
    if cls is None or call is None:  # base classes such as DiffusionPipeline have no call
        return None
    arguments = {argument.name: argument for argument in call.arguments()}
    required = frozenset(name for name, argument in arguments.items() if argument.required)
    output = _output(call, arguments)
    needs = any(_needs_media(cls, call, argument) for argument in arguments.values())
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
        # As in `DiffusionPipeline._get_signature_keys`.
        components=tuple(sorted(part.name for part in parts if part.required or part.name in optional)),
        optional_components=optional,
    )


@functools.cache
def component_exists(library: str, class_name: str) -> bool:
    """Whether the installed libraries have that class of a pipeline component.

    `library` as in model_index.json: diffusers, transformers, or one of diffusers' pipeline modules such as
    stable_diffusion.
    """
    if not re.fullmatch(r"[A-Z]\w*", class_name, re.ASCII):
        return False
    if library == "transformers":
        return class_name in _transformers_names() or _FORMERLY_FAST.sub(r"\1", class_name) in _transformers_names()
    diffusers = package_folder("diffusers")
    if diffusers is None or not re.fullmatch(r"\w+", library, re.ASCII):
        return False
    if library == "diffusers":
        return class_name in public_names(diffusers)
    folders = (diffusers / "pipelines" / library, diffusers / "pipelines" / "deprecated" / library)
    for folder in folders:
        package = module_at(folder / "__init__")
        if package is None:
            continue
        # Some packages define a class for another library in their __init__.py, or import it from there.
        if class_name in public_names(folder) or package.class_named(class_name) is not None:
            return True
        if package.imports_from("transformers", class_name) and class_name in _transformers_names():
            return True
    return False


def _transformers_names() -> frozenset[str]:
    # During the import of transformers, a second thread sees an incomplete module.
    with _IMPORTING:
        return _names_of_transformers()


@functools.cache
def _names_of_transformers() -> frozenset[str]:
    # Its table of names; this import loads neither torch nor a model.
    import transformers

    return frozenset(dir(transformers))


def _pipeline_class(class_name: str) -> ClassSource | None:
    """The installed diffusers' pipeline class of that name, or None."""
    diffusers = package_folder("diffusers")
    # The name comes from an untrusted file.
    if diffusers is None or not re.fullmatch(r"[A-Z][A-Za-z0-9_]{0,99}", class_name, re.ASCII):
        return None
    if class_name not in public_names(diffusers):
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


def _needs_media(cls: ClassSource, call: MethodSource, argument: Argument) -> bool:
    """Whether a call needs this argument and it is an image, a video, audio, or an embedding of one."""
    name = argument.name
    if not _MEDIA.search(name) or _NEVER_NEEDED.search(name):
        return False
    # Editing classes declare their image optional although they need it; their names are reliable.
    if argument.required or _IMAGE_INPUT_CLASS.search(cls.node.name):
        return True
    documented = re.search(rf"^\s*{re.escape(name)}\s*\((.*?)\)\s*:", call.documentation, re.MULTILINE | re.DOTALL)
    documented_optional = documented is not None and "optional" in documented[1]
    if "None" not in argument.annotation and "Optional" not in argument.annotation:
        return not documented_optional  # `image: PipelineImageInput = None` in image-to-image classes
    return documented is not None and not documented_optional and cls.node.name not in _text_to_image_classes()


@functools.cache
def _text_to_image_classes() -> frozenset[str]:
    """The classes in diffusers' own table of text-to-image pipelines."""
    diffusers = package_folder("diffusers")
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
    """The type of the output, by the first field of the output record. Combined pipelines name it in their
    documentation only."""
    names = [*_built_records(call), *re.findall(r"pipelines?\.(?:\w+\.)*(\w+Output)", call.documentation)]
    records = [record for name in names if (record := call.module.class_named(name)) is not None]
    fields = [record.fields()[0] for record in records if record.fields()]
    output: Output = _FIELDS.get(fields[0], "other") if fields else "other"
    if not fields and "num_images_per_prompt" in arguments:
        output = "image"
    return "video" if output == "image" and _VIDEO_PARAMETERS & arguments.keys() else output


def _built_records(call: MethodSource) -> Iterator[str]:
    """Names of the classes of which the call returns instances."""
    for node in ast.walk(call.node):
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name):
            yield node.value.func.id
