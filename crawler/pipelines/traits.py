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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

from crawler.catalog import Task
from crawler.pipelines.packages import package_folder
from crawler.pipelines.source_code import (
    Argument,
    ClassSource,
    MethodSource,
    class_in,
    module_at,
    public_names,
    unavailable_names,
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
    #: Parameters of the constructor: components and settings. Other entries of a model_index.json are ignored.
    taken: frozenset[str] = frozenset()


@functools.cache
def describe(class_name: str) -> PipelineTraits | None:
    """The traits of the pipeline class of that name; None: the installed diffusers has no such pipeline.

    Also None for classes that need a package which is not installed (`missing_for_pipeline`).
    """
    cls = pipeline_class(class_name)
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
        taken=frozenset(part.name for part in parts),
        # As in `DiffusionPipeline._get_signature_keys`.
        components=tuple(sorted(part.name for part in parts if part.required or part.name in optional)),
        optional_components=optional,
    )


@functools.cache
def missing_for_pipeline(class_name: str) -> frozenset[str]:
    """The packages that a pipeline class needs and that are not installed; empty where there is no such class."""
    diffusers = package_folder("diffusers")
    if diffusers is None:
        return frozenset()
    cls = pipeline_class(class_name)
    if cls is None:
        return unavailable_names(diffusers).get(class_name, frozenset())
    constructor = cls.method("__init__")
    used = set(_names_used(constructor.node.body)) if constructor is not None else set()
    # What a module imports only where a package is installed, and the constructor uses all the same.
    conditional = cls.module.conditional_names()
    return frozenset().union(*(missing for name, missing in conditional.items() if name in used))


def _names_used(statements: list[ast.stmt]) -> Iterator[str]:
    """The names that these statements use without being asked to, as for a watermark."""
    for statement in statements:
        if not isinstance(statement, ast.If):
            yield from (node.id for node in ast.walk(statement) if isinstance(node, ast.Name))
        elif ast.unparse(statement.test).endswith(" is None"):
            yield from _names_used(statement.body)


@functools.cache
def does_without(class_name: str, component: str) -> bool:
    """Whether a pipeline says what it does where a component that it takes is None: SD3 without its third encoder."""
    cls = pipeline_class(class_name)
    if cls is None:
        return False
    # What a tokenizer makes goes to the text encoder of its number.
    test = f"self.{component.replace('tokenizer', 'text_encoder')} is None"
    return any(
        isinstance(node, ast.If)
        and ast.unparse(node.test) == test
        and any(isinstance(statement, ast.Return) for statement in node.body)
        for one in cls.lineage()
        for node in ast.walk(one.node)
    )


def pipeline_names() -> frozenset[str]:
    """The names of the installed diffusers' pipeline classes, also of those that need further packages."""
    diffusers = package_folder("diffusers")
    names = (*public_names(diffusers), *unavailable_names(diffusers)) if diffusers is not None else ()
    return frozenset(name for name in names if name.endswith("Pipeline"))


def pipeline_class(class_name: str) -> ClassSource | None:
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
def combined_class(class_name: str) -> str | None:
    """The pipeline that puts a prior before this decoder, by diffusers' own tables; None: it is no decoder."""
    decoders = _table("_AUTO_TEXT2IMAGE_DECODER_PIPELINES_MAPPING")
    combined = _table("AUTO_TEXT2IMAGE_PIPELINES_MAPPING")
    return next((combined.get(family) for family, decoder in decoders.items() if decoder == class_name), None)


@functools.cache
def _text_to_image_classes() -> frozenset[str]:
    """The classes in diffusers' own table of text-to-image pipelines."""
    return frozenset(_table("AUTO_TEXT2IMAGE_PIPELINES_MAPPING").values()) | frozenset(
        _table("_AUTO_TEXT2IMAGE_DECODER_PIPELINES_MAPPING").values()
    )


@functools.cache
def _table(name: str) -> dict[str, str]:
    """A table of diffusers' automatic pipelines: the class of each family of models."""
    diffusers = package_folder("diffusers")
    module = module_at(diffusers / "pipelines" / "auto_pipeline") if diffusers is not None else None
    found: dict[str, str] = {}
    for statement in ast.walk(module.tree if module is not None else ast.Module([], [])):
        if not isinstance(statement, ast.Assign):
            continue
        target, value = statement.targets[0], statement.value
        if isinstance(target, ast.Name) and target.id == name:
            pairs = (node for node in ast.walk(value) if isinstance(node, ast.Tuple) and len(node.elts) == 2)
            found |= {ast.literal_eval(key): ast.unparse(cls) for key, cls in (pair.elts for pair in pairs)}
        elif isinstance(target, ast.Subscript) and ast.unparse(target.value) == name:
            found[ast.literal_eval(target.slice)] = ast.unparse(value)
    return found


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
