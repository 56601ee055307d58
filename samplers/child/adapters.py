"""Adapters on their base model, with a test that they change it.

diffusers ignores a LoRA without a message when the base has none of its layers, and a textual inversion when the
tokenizer knows its token already: every image would be the base model's, under another name. So a LoRA is tested twice:
its weights must not be all zero, and the first image must differ from that without it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from crawler.options import Kind
from samplers.child.failures import GeneratorError, is_out_of_memory
from workspace.errors import in_one_line

#: The file names of diffusers, and of trainers that use it.
_LORA_FILE = "pytorch_lora_weights.safetensors"
_INVERSION_FILE = "learned_embeds.safetensors"


def apply_lora(pipeline: Any, folder: Path) -> None:
    """Load the LoRA in `folder` into `pipeline`; raises `GeneratorError` when it has no effect."""
    if not hasattr(pipeline, "load_lora_weights"):
        raise GeneratorError("load-failed", f"{type(pipeline).__name__} does not support LoRA")
    try:
        pipeline.load_lora_weights(
            folder, weight_name=_weights(folder, _LORA_FILE), use_safetensors=True, local_files_only=True
        )
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise GeneratorError("load-failed", f"the LoRA does not fit its base model: {in_one_line(error)}") from error
    reached = [component for component, adapters in pipeline.get_list_adapters().items() if adapters]
    if not reached or not _has_effect(pipeline, reached):
        raise GeneratorError("load-failed", f"the LoRA has no effect on its base model, a {type(pipeline).__name__}")


def require_effect(pipeline: Any, sample: Callable[[], bytes]) -> None:
    """Raise `GeneratorError` when `sample` gives the same image with the LoRA and without it."""
    adapted = sample()
    pipeline.disable_lora()
    plain = sample()
    pipeline.enable_lora()
    if adapted == plain:
        raise GeneratorError(
            "load-failed", f"the LoRA does not change the images of its base model, a {type(pipeline).__name__}"
        )


def apply_textual_inversion(pipeline: Any, folder: Path) -> str:
    """Load the textual inversion in `folder` into `pipeline`; returns its placeholder token.

    Raises `GeneratorError` when it adds no token.
    """
    if not hasattr(pipeline, "load_textual_inversion"):
        raise GeneratorError("load-failed", f"{type(pipeline).__name__} does not support textual inversion")
    before = set(pipeline.tokenizer.get_vocab())
    try:
        pipeline.load_textual_inversion(
            folder, weight_name=_weights(folder, _INVERSION_FILE), use_safetensors=True, local_files_only=True
        )
    except Exception as error:
        if is_out_of_memory(error):
            raise
        detail = f"the textual inversion does not fit its base model: {in_one_line(error)}"
        raise GeneratorError("load-failed", detail) from error
    added: list[str] = sorted(set(pipeline.tokenizer.get_vocab()) - before)
    if not added:
        raise GeneratorError("load-failed", "the textual inversion adds no token to its base model")
    # A token of several vectors is stored as token, token_1, token_2, ...: the shortest stands for all of them.
    return min(added, key=lambda token: (len(token), token))


def components_changed_by(kind: Kind, pipeline: Any) -> set[str]:
    """Names of the components that an adapter of that kind may have changed."""
    if kind == "lora":
        # The components that diffusers puts layers into, whether or not this file had layers for each of them.
        return set(pipeline._lora_loadable_modules)
    if kind == "textual-inversion":
        return {name for name in pipeline.components if name.startswith(("tokenizer", "text_encoder"))}
    return set()


def _weights(folder: Path, usual: str) -> str:
    """The file to load: the usual one, else the first by name."""
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.safetensors"))
    if not found:
        raise GeneratorError("load-failed", "the adapter has no safetensors file")
    return usual if usual in found else found[0]


def _has_effect(pipeline: Any, components: list[str]) -> bool:
    """Whether any layer's update, B x A, is not zero: B of an untrained LoRA is all zero."""
    return any(
        bool(parameter.any())
        for component in components
        for name, parameter in getattr(pipeline, component).named_parameters()
        if "lora_B" in name or "lora_magnitude" in name
    )
