"""Published weights under our names: strictly, every tensor of ours and none left over.

timm's ViT and ConvNeXt are the same functions as transformers'; only the names differ, and timm keeps query, key and
value in one tensor.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import torch

from workspace.errors import UsageError, in_one_line

State = dict[str, torch.Tensor]

#: In front of all names, as wrappers of several libraries add them: distributed training, the study's class.
_PREFIXES = ("module.", "_orig_mod.", "vit.")
_VIT = (
    (r"cls_token", "embeddings.cls_token"),
    (r"pos_embed", "embeddings.position_embeddings"),
    (r"patch_embed\.proj\.", "embeddings.patch_embeddings.projection."),
    (r"blocks\.(\d+)\.norm1\.", r"layers.\1.layernorm_before."),
    (r"blocks\.(\d+)\.norm2\.", r"layers.\1.layernorm_after."),
    (r"blocks\.(\d+)\.attn\.proj\.", r"layers.\1.attention.o_proj."),
    (r"blocks\.(\d+)\.mlp\.fc([12])\.", r"layers.\1.mlp.fc\2."),
    (r"norm\.", "layernorm."),
)
_CONVNEXT = (
    (r"stem\.0\.", "embeddings.patch_embeddings."),
    (r"stem\.1\.", "embeddings.layernorm."),
    (r"stages\.(\d+)\.downsample\.([01])\.", r"encoder.stages.\1.downsampling_layer.\2."),
    (r"stages\.(\d+)\.blocks\.(\d+)\.conv_dw\.", r"encoder.stages.\1.layers.\2.dwconv."),
    (r"stages\.(\d+)\.blocks\.(\d+)\.norm\.", r"encoder.stages.\1.layers.\2.layernorm."),
    (r"stages\.(\d+)\.blocks\.(\d+)\.mlp\.fc([12])\.", r"encoder.stages.\1.layers.\2.pwconv\3."),
    (r"stages\.(\d+)\.blocks\.(\d+)\.gamma", r"encoder.stages.\1.layers.\2.layer_scale_parameter"),
    (r"head\.norm\.", "layernorm."),
)
_QKV = re.compile(r"blocks\.(\d+)\.attn\.qkv\.(weight|bias)")


def read(path: Path) -> State:
    """The tensors of a file: safetensors, or a pickle of tensors alone, which runs no code.

    Raises `UsageError` for anything else.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        content = torch.load(path, map_location="cpu", weights_only=True)
    # Libraries raise anything for a file of a stranger.
    except Exception as error:
        raise UsageError(
            f"{path} cannot be read as weights, safetensors or a pickle of tensors alone: {in_one_line(error, 200)}"
        ) from error
    for key in ("model", "state_dict", "model_state_dict"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise UsageError(f"{path} holds no tensors by name")
    return {str(name): value for name, value in content.items()}


def as_ours(state: State) -> State:
    """The tensors under the names of `Network`: `backbone.model.` and `head.`; names that are ours stay."""
    for prefix in _PREFIXES:
        if state and all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): value for name, value in state.items()}
    if "pos_embed" in state:
        return _vit(state)
    if "stem.0.weight" in state:
        return _renamed(state, _CONVNEXT, ("head.fc.", "head."))
    if set(state) == {"weight", "bias"}:  # a linear layer alone, as Ojha et al. publish theirs
        return {f"head.{name}": value for name, value in state.items()}
    return state


def load_whole(model: torch.nn.Module, state: State, where: str) -> None:
    """Put published weights into a model, all of them. Raises `UsageError` where names or shapes differ."""
    _load(model, as_ours(state), where)


def load_backbone(backbone: torch.nn.Module, state: State, where: str) -> None:
    """Put published weights into a backbone, all of them; their classifier is left out. Errors as `load_whole`."""
    ours = as_ours(state)
    if any(name.startswith("backbone.") for name in ours):
        ours = {name.removeprefix("backbone."): value for name, value in ours.items() if name.startswith("backbone.")}
    else:  # transformers' own file: the base model under its name, then a classifier
        wanted = set(backbone.state_dict())
        found: State = {}
        for name, value in ours.items():
            candidates = (f"model.{name}", f"model.{name.partition('.')[2]}")
            found |= {candidate: value for candidate in candidates if candidate in wanted}
        ours = found
    _load(backbone, ours, where)


def _load(module: torch.nn.Module, state: State, where: str) -> None:
    wanted = module.state_dict()
    missing, further = sorted(set(wanted) - set(state)), sorted(set(state) - set(wanted))
    shapes = [name for name in wanted if name in state and state[name].shape != wanted[name].shape]
    if missing or further or shapes:
        problems = [f"it lacks {missing[0]} and {len(missing) - 1} more"] if missing else []
        problems += [f"it also has {further[0]} and {len(further) - 1} more"] if further else []
        problems += [f"{name} is {list(state[name].shape)}, not {list(wanted[name].shape)}" for name in shapes[:1]]
        raise UsageError(f"{where}: these are not the weights of this model: {'; '.join(problems)}")
    module.load_state_dict(state, strict=True)


def _vit(state: State) -> State:
    split: State = {}
    for name, value in state.items():
        if match := _QKV.fullmatch(name):
            for part, tensor in zip("qkv", value.chunk(3), strict=True):
                split[f"backbone.model.layers.{match[1]}.attention.{part}_proj.{match[2]}"] = tensor.contiguous()
        else:
            split[name] = value
    return _renamed(split, _VIT, ("head.", "head."))


def _renamed(state: State, rules: tuple[tuple[str, str], ...], head: tuple[str, str]) -> State:
    renamed = {}
    for name, value in state.items():
        new = name
        for pattern, replacement in rules:
            if re.match(pattern, name):
                new = "backbone.model." + re.sub(f"^{pattern}", replacement, name)
                break
        else:
            if name.startswith(head[0]):
                new = head[1] + name.removeprefix(head[0])
        renamed[new] = value
    return renamed
