"""One model with every tensor that it needs, and none that it does not know.

A tensor that no layer takes means that file and configuration do not belong together: with the fewer layers of the
configuration, the images would not be the generator's. Two kinds do no harm, besides what the libraries ignore
themselves: buffers that older versions stored and newer ones compute (positions, masks, counters), and, in the file of
a text encoder, the other half of the model it was taken from, or an unused head.
"""

import re
from pathlib import Path
from typing import Any

from samplers.child.failures import GeneratorError, is_out_of_memory
from samplers.child.size_guard import size_guard
from workspace.errors import in_one_line

#: Buffers that are computed today, in any layer.
_COMPUTED = re.compile(r"(^|\.)(position_ids|inv_freq|num_batches_tracked|masked_bias|attn\.bias)$")
#: In files of transformers' models: tensors that the encoder does not use.
_BESIDE = re.compile(r"(vision_model|visual_projection|text_projection|logit_scale|lm_head|decoder)(\.|$)")


def load_model(cls: Any, folder: Path, variant: str | None, dtype: Any, allow_pickle: bool = False) -> Any:
    """The complete model in `folder`.

    From a pickle only with `allow_pickle` and without safetensors, loaded with `weights_only`. Raises `GeneratorError`
    when tensors are missing, unknown or of another shape.
    """
    pickled = allow_pickle and not any(folder.glob("*.safetensors"))
    files = folder.glob("*.bin" if pickled else "*.safetensors")
    present = variant is not None and any(f".{variant}." in path.name for path in files)
    try:
        with size_guard(folder):
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
        raise GeneratorError("load-failed", f"{folder.name}: {in_one_line(error)}") from error
    for problem in ("missing_keys", "mismatched_keys", "unexpected_keys"):
        names = sorted(str(key) for key in loading[problem])
        if problem == "unexpected_keys":
            names = [name for name in names if not _is_harmless(name, cls)]
        if names:
            tensors = f"{problem.removesuffix('_keys')} {'tensor' if len(names) == 1 else 'tensors'}"
            raise GeneratorError("load-failed", f"{folder.name}: {len(names)} {tensors}, such as {names[0]}")
    return model.eval()


def _is_harmless(unexpected: str, cls: Any) -> bool:
    from transformers import PreTrainedModel

    beside = issubclass(cls, PreTrainedModel) and _BESIDE.match(unexpected)
    return bool(beside or _COMPUTED.search(unexpected))
