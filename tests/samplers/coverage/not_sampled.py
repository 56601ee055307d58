"""The classes that make images and cannot be sampled here, each with the reason and what happens when it is tried.

A test tries every one: as soon as one succeeds, it belongs into a table of `KINDS`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.zoo.components import autoencoder
from demo.zoo.flow_transformers import flow_scheduler
from tests.samplers.coverage.checks import check
from tests.samplers.coverage.components import stirred
from tests.samplers.coverage.kind import Kind, sized
from tests.samplers.coverage.qwen import qwen_3
from tests.samplers.coverage.stable_diffusion import of
from tests.samplers.coverage.tokenizers import mistral_tokenizer


@dataclass(frozen=True)
class NotSampled:
    """Why a class cannot be sampled."""

    reason: str
    attempt: Callable[[Path], Any]
    """What fails; is given an empty folder."""
    error: str
    """A pattern of the error's words, or of its type."""


def omnigen() -> Any:
    """OmniGen: one transformer reads and paints."""
    from diffusers import OmniGenPipeline, OmniGenTransformer2DModel
    from transformers import LlamaTokenizer

    tokenizer = mistral_tokenizer(LlamaTokenizer)
    return OmniGenPipeline(
        transformer=stirred(
            OmniGenTransformer2DModel(
                hidden_size=32,
                num_attention_heads=2,
                num_key_value_heads=2,
                intermediate_size=64,
                num_layers=2,
                in_channels=4,
                time_step_dim=16,
                vocab_size=len(tokenizer),
                pad_token_id=0,
                rope_scaling={"long_factor": [1.0] * 8, "short_factor": [1.0] * 8},
            )
        ),
        vae=autoencoder(),
        scheduler=flow_scheduler(invert_sigmas=True, num_train_timesteps=1),
        tokenizer=tokenizer,
    )


def _cosmos(_folder: Path) -> Any:
    from diffusers import Cosmos2TextToImagePipeline

    return Cosmos2TextToImagePipeline(*[None] * 6)


def _processor(class_name: str) -> Callable[[Path], Any]:
    """Making the component that reads for the pipeline."""

    def attempt(_folder: Path) -> Any:
        import transformers

        images = transformers.Qwen2VLImageProcessorPil()
        return getattr(transformers, class_name)(image_processor=images, tokenizer=qwen_3()[1])

    return attempt


def _sampling(class_name: str, kind: Kind) -> Callable[[Path], Any]:
    return lambda folder: check(class_name, kind, folder)


def _needs_torchvision(processor: str) -> NotSampled:
    reason = f"its {processor} needs torchvision, which is not installed"
    # Asked for without torchvision, transformers 5 stumbles over the stand-in it has put in place of films' processors.
    return NotSampled(reason, _processor(processor), "requires the Torchvision library|VIDEO_PROCESSOR_MAPPING")


NOT_SAMPLED = {
    "BriaFibo2Pipeline": _needs_torchvision("Qwen3VLProcessor"),
    "Cosmos2TextToImagePipeline": NotSampled(
        "it is not made without the checker of cosmos_guardrail, which is not installed", _cosmos, "cosmos_guardrail"
    ),
    "DreamLiteMobilePipeline": _needs_torchvision("Qwen3VLProcessor"),
    "DreamLitePipeline": _needs_torchvision("Qwen3VLProcessor"),
    "Flux2Pipeline": _needs_torchvision("PixtralProcessor"),
    "Kandinsky5T2IPipeline": _needs_torchvision("Qwen2_5_VLProcessor"),
    "LongCatImagePipeline": _needs_torchvision("Qwen2VLProcessor"),
    "NucleusMoEImagePipeline": _needs_torchvision("Qwen3VLProcessor"),
    "OmniGenPipeline": NotSampled(
        "its processor of images needs torchvision, which is not installed, even where there is no image",
        _sampling("OmniGenPipeline", Kind(omnigen, asked=sized(64))),
        "OmniGenMultiModalProcessor",
    ),
    "QwenImage21Pipeline": _needs_torchvision("Qwen3VLProcessor"),
    "StableDiffusionPix2PixZeroPipeline": NotSampled(
        "it turns one concept into another, and needs embeddings of both beside the prompt",
        _sampling(
            "StableDiffusionPix2PixZeroPipeline",
            Kind(
                of(
                    "StableDiffusionPix2PixZeroPipeline",
                    inverse_scheduler=lambda: None,
                    caption_generator=lambda: None,
                    caption_processor=lambda: None,
                )
            ),
        ),
        "`source_embeds` and `target_embeds` cannot be undefined",
    ),
}
