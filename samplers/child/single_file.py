"""Components from a single-file checkpoint, as diffusers' `from_single_file` loads them, or the reason why not.

`DiffusionPipeline.from_single_file` takes what it finds: it says nothing of tensors that no layer takes, tells two text
encoders apart by their widths only, and asks the Hub for a configuration. So each component is loaded by itself, from
its own part of the file and from the configuration that the catalogue pins: diffusers' models by their
`from_single_file`, text encoders, for which diffusers has only functions, by these and by transformers. Every tensor
of the part must be taken, and every tensor of the model must be in the file.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crawler.checkpoint_layout import DENOISER_PREFIX, DENOISERS, Parts, is_original, parts_of
from samplers.child.failures import GeneratorError, is_out_of_memory
from samplers.child.models import COMPUTED, require_complete
from samplers.child.size_guard import size_guard
from workspace.errors import in_one_line

#: The width of FLUX.1, for which alone diffusers' conversion splits the matrices of single blocks.
_FLUX_WIDTH = 3072
_FUSED = re.compile(r"single_blocks\.(\d{1,4})\.linear1\.(weight|bias)", re.ASCII)
_OPEN_CLIP = re.compile(r"(?:.*\.)?model\.(?:token_embedding|transformer\.resblocks)\.")


@dataclass(frozen=True)
class SingleFile:
    """A checkpoint in one file, and its parts."""

    path: Path
    parts: Parts
    key: str | None
    """The content key of the file; None: not known."""
    weights: Any = field(repr=False, compare=False)
    """The file, opened once: each opening maps all of it into memory again."""

    @classmethod
    def read(cls, path: Path, classes: Mapping[str, str], key: str | None) -> "SingleFile":
        """The checkpoint at `path` for a pipeline whose components have these classes.

        Raises `GeneratorError` (load-failed) for a damaged file, and for tensors of no component.
        """
        from safetensors import safe_open

        try:
            weights: Any = safe_open(path, framework="pt")
            parts = parts_of(weights.keys(), classes)
        except Exception as error:
            raise GeneratorError("load-failed", f"{path.name}: {in_one_line(error)}") from error
        if parts.others:
            detail = f"{len(parts.others)} tensors belong to no component of the pipeline, such as {parts.others[0]}"
            raise GeneratorError("load-failed", f"{path.name}: {detail}")
        return cls(path, parts, key, weights)

    def has(self, component: str) -> bool:
        """Whether the file has the weights of a component."""
        return component in self.parts.names

    def load(self, cls: Any, component: str, folder: Path, dtype: Any) -> Any:
        """A component's model in `dtype`, configured by the `config.json` in `folder`.

        Raises `GeneratorError` when tensors are missing, unknown or of another shape.
        """
        from transformers import PreTrainedModel

        try:
            with size_guard(self.path.stat().st_size):
                tensors = self._tensors(component)
                if issubclass(cls, PreTrainedModel):
                    return self._text_encoder(cls, component, tensors, folder, dtype)
                return _model(cls, component, tensors, folder, dtype)
        except GeneratorError:
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise
            # diffusers' conversion looks up each tensor that it expects.
            missing = f"no tensor {error}" if isinstance(error, KeyError) else in_one_line(error)
            raise GeneratorError("load-failed", f"{component}: {missing}") from error

    def _tensors(self, component: str) -> dict[str, Any]:
        names = self.parts.names[component]
        bare = component in DENOISERS and not self.parts.prefixes[component] and is_original(names)
        return {f"{DENOISER_PREFIX if bare else ''}{name}": self.weights.get_tensor(name) for name in names}

    def _text_encoder(self, cls: Any, component: str, tensors: dict[str, Any], folder: Path, dtype: Any) -> Any:
        config = cls.config_class.from_pretrained(folder, local_files_only=True)
        model, loading = cls.from_pretrained(
            None,
            config=config,
            state_dict=_converted_text_encoder(cls, config, tensors, self.parts.prefixes[component]),
            local_files_only=True,
            output_loading_info=True,
            dtype=dtype,
        )
        require_complete(loading, cls, model, component)
        return model.eval()


def _model(cls: Any, component: str, tensors: dict[str, Any], folder: Path, dtype: Any) -> Any:
    """A model of diffusers."""
    if not hasattr(cls, "from_single_file"):
        raise GeneratorError("load-failed", f"{component}: diffusers reads no {cls.__name__} from a single file")
    in_file = sum(tensor.numel() for name, tensor in tensors.items() if not COMPUTED.search(name))
    if cls.__name__ == "FluxTransformer2DModel":
        tensors = _flux_of_any_width(tensors)
    try:
        model = cls.from_single_file(tensors, config=str(folder), local_files_only=True, torch_dtype=dtype)
    except NotImplementedError as error:
        # What the file does not have has no values, and cannot be moved.
        raise GeneratorError("load-failed", f"{component}: the file lacks tensors of a {cls.__name__}") from error
    # The conversion splits, turns and renames tensors, so only the number of values tells whether all were taken.
    taken = sum(tensor.numel() for name, tensor in model.state_dict().items() if not COMPUTED.search(name))
    if in_file != taken:
        detail = f"the file has {in_file} values and the model of its configuration {taken}"
        raise GeneratorError("load-failed", f"{component}: {detail}")
    return model.eval()


def _flux_of_any_width(tensors: dict[str, Any]) -> dict[str, Any]:
    """The tensors of a Flux transformer by diffusers' names, where it is not as wide as FLUX.1.

    diffusers' conversion splits `linear1` of each single block into query, key, value and MLP by FLUX.1's width. It
    gets matrices without values in their place, and these are split here.
    """
    import torch
    from diffusers.loaders.single_file_utils import convert_flux_transformer_checkpoint_to_diffusers as convert

    tensors = {name.removeprefix(DENOISER_PREFIX): tensor for name, tensor in tensors.items()}
    if "img_in.weight" not in tensors or (width := len(tensors["img_in.weight"])) == _FLUX_WIDTH:
        return tensors
    fused = {name: match for name in tensors if (match := _FUSED.fullmatch(name)) is not None}
    stand_in = torch.zeros(1).expand(7 * _FLUX_WIDTH)
    converted: dict[str, Any] = convert({**tensors, **dict.fromkeys(fused, stand_in)})
    for name, match in fused.items():
        rows = (width, width, width, len(tensors[name]) - 3 * width)
        block = f"single_transformer_blocks.{match[1]}"
        places = ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp")
        for place, tensor in zip(places, tensors[name].split(rows), strict=True):
            converted[f"{block}.{place}.{match[2]}"] = tensor
    return converted


def _converted_text_encoder(cls: Any, config: Any, tensors: dict[str, Any], prefix: str) -> dict[str, Any]:
    """The tensors of a text encoder by transformers' names."""
    if any(_OPEN_CLIP.match(name) for name in tensors):
        converted = _converted_open_clip(config, tensors, f"{prefix}model.")
    else:
        transformer = f"{prefix}transformer."
        converted = {name.removeprefix(transformer): tensor for name, tensor in tensors.items()}
    if prefix == "text_encoders.clip_l." and cls.__name__ == "CLIPTextModelWithProjection":
        # Stable Diffusion 3 takes the output of this encoder as it is: its files have no projection.
        converted.setdefault("text_projection.weight", _identity(config.hidden_size))
    if cls.__name__ == "CLIPTextModel":
        # A class of transformers without the prefix that its files had before.
        converted = {name.removeprefix("text_model."): tensor for name, tensor in converted.items()}
    return converted


def _converted_open_clip(config: Any, tensors: dict[str, Any], prefix: str) -> dict[str, Any]:
    from types import SimpleNamespace

    from diffusers.loaders.single_file_utils import convert_open_clip_checkpoint

    converted: dict[str, Any] = convert_open_clip_checkpoint(SimpleNamespace(config=config), tensors, prefix=prefix)
    return converted


def _identity(size: int) -> Any:
    import torch

    return torch.eye(size)
