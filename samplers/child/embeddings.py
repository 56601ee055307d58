"""Embeddings of new tokens in a pipeline's text encoders: textual inversions, and those that a LoRA was trained with.

Files come in several layouts: diffusers' (the token and its vectors), those of web UIs (`string_to_param`, or
`emb_params` without any name: the token is then the file's name), and one tensor for each text encoder (`clip_l`,
`clip_g`: SDXL's, and those of pivotal tuning). The file is read here, so that one set of rules holds for all: vectors
must have the size of the text encoder they are for, and stand in its embedding afterwards. diffusers would take the
name `emb_params` for a token, and know one text encoder only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samplers.child.adapters import adapter_file, allowed, unpickled
from samplers.child.failures import GeneratorError, is_out_of_memory
from samplers.planning.plan import Plan
from workspace.errors import in_one_line

#: The text encoder that a tensor of this name is for; T5 is the last one of a pipeline.
_ENCODERS = {
    "clip_l": "text_encoder",
    "clip_g": "text_encoder_2",
    "text_encoders_0": "text_encoder",
    "text_encoders_1": "text_encoder_2",
    "t5": None,
}
#: Names that web UIs give to tensors of any token.
_NAMELESS = ("emb_params", "*")
_FIRST = "text_encoder"


@dataclass(frozen=True)
class _Vectors:
    by_encoder: Mapping[str | None, Any]
    """(tokens, size) by component; None: the T5 encoder."""
    name: str | None
    """The token that the file names."""


def add_textual_inversion(pipeline: Any, folder: Path, plan: Plan) -> tuple[str, ...]:
    """Add the textual inversion in `folder`; returns its tokens, which must be in the prompt.

    Raises `GeneratorError` (load-failed) for a file of another layout, another size, or a token that is known already.
    """
    file = adapter_file(folder, plan)
    vectors = _vectors(file)
    # A web UI's token is the file's name.
    return _add(pipeline, vectors, plan.embedding_tokens or (vectors.name or file.stem,), "the textual inversion")


def add_embeddings(pipeline: Any, folder: Path, plan: Plan) -> tuple[str, ...]:
    """Add the embeddings that the LoRA in `folder` was trained with, if it has any; returns their tokens.

    Raises as `add_textual_inversion`.
    """
    if plan.embedding_file is None:
        return ()
    file = folder / plan.embedding_file
    if not file.is_file():
        raise GeneratorError("load-failed", f"the LoRA has no file {plan.embedding_file}")
    vectors = _vectors(allowed(file, plan))
    count = max(len(tensor) for tensor in vectors.by_encoder.values())
    # The names that diffusers' trainer gives to new tokens.
    usual = tuple(f"<s{number}>" for number in range(count))
    return _add(pipeline, vectors, plan.embedding_tokens or usual, "the LoRA's file of embeddings")


def _vectors(file: Path) -> _Vectors:
    from safetensors.torch import load_file

    try:
        content = load_file(file) if file.suffix == ".safetensors" else unpickled(file)
    except Exception as error:
        raise GeneratorError("load-failed", f"{file.name}: {in_one_line(error)}") from error
    name: Any = None
    if isinstance(content, dict) and isinstance(content.get("string_to_param"), dict):
        name, content = content.get("name"), content["string_to_param"]
    tensors: dict[Any, Any] = content if isinstance(content, dict) else {"*": content}
    if tensors and tensors.keys() <= _ENCODERS.keys():
        by_encoder = {_ENCODERS[key]: tensor for key, tensor in tensors.items()}
    elif len(tensors) == 1:
        ((key, tensor),) = tensors.items()
        by_encoder = {_FIRST: tensor}
        name = name if key in _NAMELESS else key
    else:
        names = ", ".join(sorted(map(str, tensors))[:5])
        raise GeneratorError("load-failed", f"{file.name} has several tensors, and no text encoder is known: {names}")
    return _Vectors(
        {encoder: _as_matrix(tensor, file) for encoder, tensor in by_encoder.items()},
        name if isinstance(name, str) and name else None,
    )


def _as_matrix(tensor: Any, file: Path) -> Any:
    import torch

    if not isinstance(tensor, torch.Tensor) or tensor.ndim not in (1, 2) or not tensor.is_floating_point():
        raise GeneratorError("load-failed", f"{file.name} does not have one vector for each token")
    return tensor.detach().reshape(-1, tensor.shape[-1])


def _add(pipeline: Any, vectors: _Vectors, tokens: Sequence[str], what: str) -> tuple[str, ...]:
    if not hasattr(pipeline, "load_textual_inversion"):
        raise GeneratorError("load-failed", f"{type(pipeline).__name__} does not support textual inversion")
    for component, tensor in vectors.by_encoder.items():
        name = component or _t5(pipeline)
        encoder, tokenizer = getattr(pipeline, name, None), getattr(pipeline, _tokenizer(name), None)
        if encoder is None or tokenizer is None:
            raise GeneratorError(
                "load-failed", f"{what} is for {name}, which a {type(pipeline).__name__} does not have"
            )
        size = encoder.get_input_embeddings().weight.shape[1]
        if tensor.shape[1] != size:
            raise GeneratorError("load-failed", f"{what} has {tensor.shape[1]} values for a token; {name} has {size}")
        if len(tokens) not in (1, len(tensor)):
            detail = f"the catalogue names {len(tokens)} tokens; {what} has vectors of {len(tensor)}"
            raise GeneratorError("load-failed", detail)
        several = len(tokens) > 1
        try:
            pipeline.load_textual_inversion(
                [row for row in tensor] if several else tensor,  # noqa: C416
                token=list(tokens) if several else tokens[0],
                text_encoder=encoder,
                tokenizer=tokenizer,
            )
        except Exception as error:
            if is_out_of_memory(error):
                raise
            raise GeneratorError("load-failed", f"{what} does not fit its base model: {in_one_line(error)}") from error
        # A token of several vectors is stored as token, token_1, token_2, ...
        names = tokens if several else [tokens[0], *(f"{tokens[0]}_{number}" for number in range(1, len(tensor)))]
        _require_rows(encoder, tokenizer, names, tensor, what)
    return tuple(tokens)


def _require_rows(encoder: Any, tokenizer: Any, names: Sequence[str], tensor: Any, what: str) -> None:
    """The vectors must be where the tokenizer leads to."""
    import torch

    rows = encoder.get_input_embeddings().weight
    numbers = tokenizer.convert_tokens_to_ids(list(names))
    known = len(set(numbers)) == len(names) and max(numbers) < len(rows)
    if not known or not torch.equal(rows[numbers].cpu(), tensor.to("cpu", rows.dtype)):
        raise GeneratorError("load-failed", f"{what}: the embeddings of {' '.join(names)} are not in effect")


def _tokenizer(encoder: str) -> str:
    return encoder.replace("text_encoder", "tokenizer")


def _t5(pipeline: Any) -> str:
    """The component that is a T5 encoder; `t5` where there is none."""
    names = [name for name, part in pipeline.components.items() if type(part).__name__.startswith("T5Encoder")]
    return names[0] if names else "t5"
