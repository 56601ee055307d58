"""One model with every tensor that it needs, and none that it does not know.

A tensor that no layer takes means that file and configuration do not belong together: with the fewer layers of the
configuration, the images would not be the generator's. Two kinds do no harm, besides what the libraries ignore
themselves: buffers that older versions stored and newer ones compute (positions, masks, counters), and, in the file of
a text encoder, the other half of the model it was taken from, or an unused head.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from samplers.child.failures import GeneratorError, is_out_of_memory
from samplers.child.size_guard import size_guard
from workspace.errors import in_one_line

#: Buffers that are computed today, in any layer.
COMPUTED = re.compile(r"(^|\.)(position_ids|inv_freq|num_batches_tracked|masked_bias|attn\.bias)$")
#: In files of transformers' models: tensors that the encoder does not use.
_BESIDE = re.compile(r"(vision_model|visual_projection|text_projection|logit_scale|lm_head|decoder)(\.|$)")
#: Files with weights, and the variant in the name of one: model.fp16.safetensors, and both spellings of shards.
_WEIGHTS = (".safetensors", ".bin")
_VARIANT = re.compile(r"\.([a-z][a-z0-9_]*)(?:-\d{5}-of-\d{5})?\.(?:safetensors|bin)$", re.ASCII)
#: A tensor of a text encoder's layer, by its number.
_LAYER = re.compile(r"(?:.*\.)?layers\.(\d{1,4})\.(.+)", re.ASCII)


def variant_of(folder: Path, declared: str | None) -> str | None:
    """The weight variant of the files below `folder`: the declared one, where any file has it; the one that all of them
    have, where none is declared."""
    files = [path.name for path in folder.rglob("*") if path.suffix in _WEIGHTS]
    if declared is not None:
        return declared if any(_has_variant(name, declared) for name in files) else None
    stated = {match[1] if (match := _VARIANT.search(name)) else None for name in files}
    return stated.pop() if len(stated) == 1 else None


def load_model(
    cls: Any, component: str, folder: Path, variant: str | None, dtype: Any, allow_pickle: bool = False
) -> Any:
    """The complete model in `folder`, in the variant if it has files of that.

    From a pickle only with `allow_pickle` and without safetensors, loaded with `weights_only`. Raises `GeneratorError`
    when tensors are missing, unknown or of another shape.
    """
    pickled = allow_pickle and not any(folder.glob("*.safetensors"))
    files = folder.glob("*.bin" if pickled else "*.safetensors")
    present = variant is not None and any(_has_variant(path.name, variant) for path in files)
    try:
        with size_guard(sum(path.stat().st_size for path in folder.iterdir() if path.suffix in _WEIGHTS)):
            model, loading = cls.from_pretrained(
                folder,
                variant=variant if present else None,
                use_safetensors=not pickled,
                weights_only=True,
                local_files_only=True,
                output_loading_info=True,
                dtype=dtype,
            )
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise GeneratorError("load-failed", f"{component}: {in_one_line(error)}") from error
    require_complete(loading, cls, model, component)
    return model.eval()


def require_complete(loading: Any, cls: Any, model: Any, component: str) -> None:
    """Raise `GeneratorError` (load-failed) for tensors that are missing, unknown or of another shape, as the libraries
    found them (`output_loading_info`)."""
    for problem in ("missing_keys", "mismatched_keys", "unexpected_keys"):
        names = sorted(str(key) for key in loading[problem])
        if problem == "unexpected_keys":
            names = _without_cut_layers([name for name in names if not _is_harmless(name, cls)], model)
        if names:
            tensors = f"{problem.removesuffix('_keys')} {'tensor' if len(names) == 1 else 'tensors'}"
            raise GeneratorError("load-failed", f"{component}: {len(names)} {tensors}, such as {names[0]}")


def _is_harmless(unexpected: str, cls: Any) -> bool:
    from transformers import PreTrainedModel

    beside = issubclass(cls, PreTrainedModel) and _BESIDE.match(unexpected)
    return bool(beside or COMPUTED.search(unexpected))


def _has_variant(name: str, variant: str) -> bool:
    return f".{variant}." in name or f".{variant}-" in name


def _without_cut_layers(unexpected: Iterable[str], model: Any) -> list[str]:
    """Unexpected tensors but for those of the last layers of a text encoder, where its configuration has fewer layers.

    So authors skip layers of CLIP ("clip skip"), and the libraries load it so. The layers must be whole, and follow on
    the last one that the configuration has: anything else is damage.
    """
    from transformers import PreTrainedModel

    names = list(unexpected)
    kept = getattr(model.config, "num_hidden_layers", None) if isinstance(model, PreTrainedModel) else None
    found: defaultdict[int, set[str]] = defaultdict(set)
    for name in names:
        match = _LAYER.fullmatch(name)
        if match is not None:
            found[int(match[1])].add(match[2])
    if not found or not isinstance(kept, int) or sorted(found) != list(range(kept, kept + len(found))):
        return names
    layers = (_LAYER.fullmatch(name) for name, _ in model.named_parameters())
    whole = {match[2] for match in layers if match is not None and match[1] == "0"}
    if any(tensors != whole for tensors in found.values()):
        return names
    return [name for name in names if _LAYER.fullmatch(name) is None]
