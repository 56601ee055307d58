"""LoRAs on their base model, with a test that they change it.

diffusers ignores a LoRA without a message when the base has none of its layers: every image would be the base model's,
under another name. So a LoRA is tested twice: its weights must not be all zero, and the first image must differ from
that without it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from samplers.child.failures import GeneratorError, is_out_of_memory
from samplers.planning.plan import Plan
from workspace.errors import in_one_line

#: The file names of diffusers, and of trainers that use it.
_USUAL = ("pytorch_lora_weights.safetensors", "learned_embeds.safetensors")
_NAME = "default"


def apply_lora(pipeline: Any, folder: Path, plan: Plan) -> None:
    """Load the LoRA in `folder` into `pipeline` with its scale; raises `GeneratorError` when it has no effect."""
    if not hasattr(pipeline, "load_lora_weights"):
        raise GeneratorError("load-failed", f"{type(pipeline).__name__} does not support LoRA")
    file = adapter_file(folder, plan)
    scale = plan.hyperparameters.adapter_scale
    try:
        if file.suffix == ".safetensors":
            where = {"weight_name": file.name, "use_safetensors": True, "local_files_only": True}
            pipeline.load_lora_weights(file.parent, adapter_name=_NAME, **where)
        else:
            pipeline.load_lora_weights(unpickled(file), adapter_name=_NAME)
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise GeneratorError("load-failed", f"the LoRA does not fit its base model: {in_one_line(error)}") from error
    reached = [component for component, adapters in pipeline.get_list_adapters().items() if adapters]
    if not reached or not _has_effect(pipeline, reached):
        raise GeneratorError("load-failed", f"the LoRA has no effect on its base model, a {type(pipeline).__name__}")
    # The same for every way in which a card gives it: fused, as an adapter's weight, or with each call.
    pipeline.set_adapters(_NAME, 1.0 if scale is None else scale)


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


def components_changed_by(plan: Plan, pipeline: Any) -> set[str]:
    """Names of the components that the adapter may have changed."""
    changed: set[str] = set()
    if plan.kind == "lora":
        # The components that diffusers puts layers into, whether or not this file had layers for each of them.
        changed |= set(pipeline._lora_loadable_modules)
    if plan.kind == "textual-inversion" or plan.embedding_file is not None:
        changed |= {name for name in pipeline.components if name.startswith(("tokenizer", "text_encoder"))}
    return changed


def adapter_file(folder: Path, plan: Plan) -> Path:
    """The adapter's weights: the file that the catalogue names, else that of the usual name, else the only one."""
    if plan.adapter_file is not None:
        file = folder / plan.adapter_file
        if not file.is_file():
            raise GeneratorError("load-failed", f"the adapter has no file {plan.adapter_file}")
    else:
        found = sorted(path for path in folder.rglob("*.safetensors"))
        usual = [path for path in found if path.relative_to(folder).as_posix() in _USUAL]
        if not found:
            raise GeneratorError("load-failed", "the adapter has no safetensors file")
        if len(found) > 1 and len(usual) != 1:
            names = ", ".join(path.relative_to(folder).as_posix() for path in found[:3])
            raise GeneratorError("load-failed", f"the catalogue does not say which file is the adapter: {names}")
        file = (usual or found)[0]
    return allowed(file, plan)


def allowed(file: Path, plan: Plan) -> Path:
    """The file, if it may be opened: a pickle only with --allow-pickle."""
    if file.suffix != ".safetensors" and not plan.allow_pickle:
        raise GeneratorError("load-failed", f"{file.name} is a pickle, no safetensors file: --allow-pickle samples it")
    return file


def unpickled(file: Path) -> Any:
    """The content of a pickle, read with `weights_only`: tensors and plain values."""
    import torch

    return torch.load(file, map_location="cpu", weights_only=True)


def _has_effect(pipeline: Any, components: list[str]) -> bool:
    """Whether any layer's update, B x A, is not zero: B of an untrained LoRA is all zero."""
    return any(
        bool(parameter.any())
        for component in components
        for name, parameter in getattr(pipeline, component).named_parameters()
        if "lora_B" in name or "lora_magnitude" in name
    )
