"""A checkpoint in one file, by the names of its tensors and the pipeline that its base model configures.

Its configuration, its tokenizers and its scheduler come from the base; so do the weights of components that the file
lacks.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from crawler.base_models import BaseModel
from crawler.checkpoint_layout import DENOISERS, MARKS, Parts, lora_name, parts_of, quantized_name
from crawler.local.header import Tensor, read_header
from crawler.local.reader import CHECKPOINT, LocalReader
from crawler.local_generator import CHECKPOINTS, LocalGenerator
from crawler.pipelines.checkpoint import Checkpoint, inspect_checkpoint
from crawler.reasons import Incompatible, Reason

# First and last convolution of a UNet: how many channels it takes, and how many it returns.
_FIRST, _LAST = "model.diffusion_model.input_blocks.0.0.weight", "model.diffusion_model.out.2.weight"
_V_PRED, _ZERO_SNR = 'prediction_type = "v_prediction"', "scheduler_config = { rescale_betas_zero_snr = true }"
# Repositories that have such a configuration, by a tensor that only files of that family have.
_USUAL = (
    ("double_blocks.0.img_attn.norm.key_norm.scale", "black-forest-labs/FLUX.1-dev"),
    ("joint_blocks.0.context_block.adaLN_modulation.1.bias", "stabilityai/stable-diffusion-3-medium-diffusers"),
    ("conditioner.embedders.1.model.positional_embedding", "stabilityai/stable-diffusion-xl-base-1.0"),
    ("cond_stage_model.model.token_embedding.weight", "stabilityai/stable-diffusion-2-1"),
    (
        "cond_stage_model.transformer.text_model.embeddings.position_embedding.weight",
        "stable-diffusion-v1-5/stable-diffusion-v1-5",
    ),
)


@dataclass(frozen=True)
class SingleFile:
    """The tensors of a checkpoint, by name."""

    tensors: Mapping[str, Tensor]

    @classmethod
    def read(cls, reader: LocalReader, generator: LocalGenerator) -> "SingleFile":
        """The checkpoint at the path of a generator; raises `Incompatible` for anything else."""
        if generator.path.suffix.lower() != CHECKPOINTS[0]:
            raise Incompatible(
                Reason.OTHER_FORMAT, "a checkpoint in one file is taken as .safetensors only: convert it"
            )
        with reader.opened(generator.name, CHECKPOINT) as file:
            single = cls(read_header(file, os.fstat(file.fileno()).st_size))
        single._check()
        single._check_marks(generator)
        return single

    def base_of(self, generator: LocalGenerator) -> tuple[str, bool, str | None]:
        """The base model that configures it, as `BaseModels.get` takes it; raises `Incompatible` (base-missing)."""
        if generator.config is not None:
            return generator.config.name, False, generator.config.revision
        usual = self._usual_config
        such = f', such as config = "{usual}"' if usual is not None else ""
        raise Incompatible(
            Reason.BASE_MISSING,
            f"a checkpoint in one file has no configuration: name one in a TOML file{such} (docs/local-generators.md)",
        )

    def _check(self) -> None:
        """Raise `Incompatible` for what is no checkpoint with weights as they were trained."""
        quantized = quantized_name(self.tensors)
        if quantized is not None:
            raise Incompatible(Reason.QUANTIZED_ONLY, f"its weights are quantized: it has the tensor {quantized}")
        lora = lora_name(self.tensors)
        if lora is not None:
            raise Incompatible(Reason.OTHER_KIND, f"it is a LoRA, not a checkpoint: it has the tensor {lora}")
        taken, returned = (self.tensors[name].shape if name in self.tensors else () for name in (_FIRST, _LAST))
        if len(taken) == 4 and returned and taken[1] > returned[0]:
            detail = f"its unet takes {taken[1]} channels and returns {returned[0]}: the others are those of an image"
            raise Incompatible(Reason.NEEDS_INPUT_IMAGE, detail)

    def _check_marks(self, generator: LocalGenerator) -> None:
        """Raise `Incompatible` (base-incompatible) where the file says how it was trained and the user does not: the
        configuration is another model's."""
        scheduler = str(generator.settings.get("scheduler_config"))
        said = {"v_pred": "prediction_type" in generator.settings, "ztsnr": "rescale_betas_zero_snr" in scheduler}
        for name, setting in (("v_pred", _V_PRED), ("ztsnr", _ZERO_SNR)):
            if name in self.tensors and not said[name]:
                detail = f"its tensor {name} says that {MARKS[name]}: add {setting} to its table"
                raise Incompatible(Reason.BASE_INCOMPATIBLE, detail)

    @property
    def _usual_config(self) -> str | None:
        """A repository that configures such checkpoints; None: the names of the tensors do not tell."""
        return next((repo_id for name, repo_id in _USUAL if any(one.endswith(name) for one in self.tensors)), None)

    def inspect(self, base: BaseModel) -> Checkpoint:
        """The base's pipeline, whose weights are in this file as far as it has them.

        Raises `Incompatible`, `HubError`.
        """
        found: list[Parts] = []

        def in_file(classes: Mapping[str, str]) -> frozenset[str]:
            found.append(parts_of(self.tensors, classes))
            return frozenset(found[-1].names)

        checkpoint = inspect_checkpoint(base.repository, in_file=in_file)
        if found:
            self._check_parts(found[0], checkpoint, base.repository.model_name)
        return checkpoint

    def _check_parts(self, parts: Parts, checkpoint: Checkpoint, base: str) -> None:
        denoiser = next((name for name in DENOISERS if name in checkpoint.components), None)
        if denoiser is None or denoiser not in parts.names:
            raise Incompatible(
                Reason.BASE_INCOMPATIBLE, f"it has no denoiser of a {checkpoint.class_name}, which {base} configures"
            )
        if parts.others:
            detail = f"{len(parts.others)} of its tensors belong to no component of {base}, such as {parts.others[0]}"
            raise Incompatible(Reason.BASE_INCOMPATIBLE, detail)
