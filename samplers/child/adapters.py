"""Adapters on their base, with proof that they took effect.

A LoRA whose layers the base does not have is ignored by diffusers without a word, and so is a textual inversion whose
token the tokenizer already knew: then every image would be the base's, under another name.
"""

from pathlib import Path
from typing import Any

from samplers.child.failures import GeneratorError, in_words

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
        raise GeneratorError("load-failed", f"the LoRA does not fit its base: {in_words(error)}") from error
    reached = [component for component, adapters in pipeline.get_list_adapters().items() if adapters]
    if not reached or not _has_effect(pipeline, reached):
        raise GeneratorError("load-failed", f"the LoRA has no effect on its base, a {type(pipeline).__name__}")


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
        raise GeneratorError("load-failed", f"the embedding does not fit its base: {in_words(error)}") from error
    learned: list[str] = sorted(set(pipeline.tokenizer.get_vocab()) - before)
    if not learned:
        raise GeneratorError("load-failed", "the embedding taught its base no word")
    # A word of several vectors is stored as word, word_1, word_2, ...: the shortest stands for all.
    return min(learned, key=lambda word: (len(word), word))


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
