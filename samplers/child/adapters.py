"""Adapters on their base, with proof that they took effect.

A LoRA whose layers the base does not have is ignored by diffusers without a word, and so is a textual inversion whose
token the tokenizer already knew: then every image would be the base's, under another name. A LoRA is asked twice: its
weights must be other than zero, and the first picture another one without it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from crawler.options import Kind
from samplers.child.failures import GeneratorError, in_words, is_out_of_memory

#: What diffusers and the trainers built on it call the file.
_LORA_FILE = "pytorch_lora_weights.safetensors"
_INVERSION_FILE = "learned_embeds.safetensors"


def apply_lora(pipeline: Any, folder: Path) -> None:
    """Put the LoRA in `folder` onto `pipeline`; raises `GeneratorError` when it has no effect."""
    if not hasattr(pipeline, "load_lora_weights"):
        raise GeneratorError("load-failed", f"{type(pipeline).__name__} takes no LoRA")
    try:
        pipeline.load_lora_weights(
            folder, weight_name=_weights(folder, _LORA_FILE), use_safetensors=True, local_files_only=True
        )
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise GeneratorError("load-failed", f"the LoRA does not fit its base: {in_words(error)}") from error
    reached = [component for component, adapters in pipeline.get_list_adapters().items() if adapters]
    if not reached or not _has_effect(pipeline, reached):
        raise GeneratorError("load-failed", f"the LoRA has no effect on its base, a {type(pipeline).__name__}")


def require_effect(pipeline: Any, draw: Callable[[], bytes]) -> None:
    """Raise `GeneratorError` when `draw` gives the same picture with the LoRA and without it."""
    adapted = draw()
    pipeline.disable_lora()
    plain = draw()
    pipeline.enable_lora()
    if adapted == plain:
        raise GeneratorError(
            "load-failed", f"the LoRA has no effect on what its base draws, a {type(pipeline).__name__}"
        )


def apply_textual_inversion(pipeline: Any, folder: Path) -> str:
    """Teach `pipeline` the word in `folder`; returns it. Raises `GeneratorError` when it learns none."""
    if not hasattr(pipeline, "load_textual_inversion"):
        raise GeneratorError("load-failed", f"{type(pipeline).__name__} takes no textual inversion")
    before = set(pipeline.tokenizer.get_vocab())
    try:
        pipeline.load_textual_inversion(
            folder, weight_name=_weights(folder, _INVERSION_FILE), use_safetensors=True, local_files_only=True
        )
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise GeneratorError("load-failed", f"the embedding does not fit its base: {in_words(error)}") from error
    learned: list[str] = sorted(set(pipeline.tokenizer.get_vocab()) - before)
    if not learned:
        raise GeneratorError("load-failed", "the embedding taught its base no word")
    # A word of several vectors is stored as word, word_1, word_2, ...: the shortest stands for all.
    return min(learned, key=lambda word: (len(word), word))


def changed_by(kind: Kind, pipeline: Any) -> set[str]:
    """Names of the components that an adapter of that kind may have changed."""
    if kind == "lora":
        # The modules diffusers puts layers into, whether or not this file had any for each of them.
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
    """Whether any layer's update, B x A, is other than zero: a freshly made LoRA's B is all zero."""
    return any(
        bool(parameter.any())
        for component in components
        for name, parameter in getattr(pipeline, component).named_parameters()
        if "lora_B" in name or "lora_magnitude" in name
    )
