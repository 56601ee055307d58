"""The classes that make images and cannot be sampled here, each with the reason and what happens when it is tried.

A test tries every one: as soon as one succeeds, it belongs into a table of `KINDS`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.zoo.components import autoencoder, spread
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


def prx() -> Any:
    """PRX: T5-Gemma reads."""
    from diffusers import PRXPipeline, PRXTransformer2DModel
    from transformers import T5GemmaConfig
    from transformers.models.t5gemma.modeling_t5gemma import T5GemmaEncoder

    from demo.zoo.tokenizers import gemma_tokenizer

    tokenizer = gemma_tokenizer()
    tokenizer.model_max_length = 64
    sizes = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "max_position_embeddings": 64,
        "query_pre_attn_scalar": 16,
    }
    config = T5GemmaConfig(encoder=sizes, decoder=sizes, vocab_size=len(tokenizer))
    text_encoder = spread(T5GemmaEncoder(config.encoder))
    text_encoder.config = config  # what is written is that of the whole, of which diffusers takes the encoder's part
    return PRXPipeline(
        transformer=stirred(
            PRXTransformer2DModel(
                patch_size=1,
                in_channels=4,
                context_in_dim=32,
                hidden_size=16,
                mlp_ratio=2.0,
                num_heads=2,
                depth=1,
                axes_dim=[4, 4],
            )
        ),
        vae=autoencoder(),
        scheduler=flow_scheduler(),
        text_encoder=text_encoder,
        tokenizer=tokenizer,
    )


def prx_pixel() -> Any:
    """PRX without an autoencoder."""
    from diffusers import PRXPixelPipeline, PRXTransformer2DModel

    text_encoder, tokenizer = qwen_3()
    transformer = PRXTransformer2DModel(
        patch_size=4,
        in_channels=3,
        context_in_dim=32,
        hidden_size=16,
        mlp_ratio=2.0,
        num_heads=2,
        depth=1,
        axes_dim=[4, 4],
        bottleneck_size=8,
        resolution_embeds=True,
    )
    return PRXPixelPipeline(
        transformer=stirred(transformer),
        scheduler=flow_scheduler(),
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        prompt_max_tokens=16,
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


_WITHOUT_FTFY = "it mends prompts by ftfy, which is not installed, and does not ask whether it is there"
_SMALL = sized(64, use_resolution_binning=False)

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
    "PRXPipeline": NotSampled(
        _WITHOUT_FTFY,
        _sampling("PRXPipeline", Kind(prx, asked=_SMALL, libraries={"text_encoder": "prx"})),
        "'ftfy' is not defined",
    ),
    "PRXPixelPipeline": NotSampled(
        _WITHOUT_FTFY, _sampling("PRXPixelPipeline", Kind(prx_pixel, asked=_SMALL)), "'ftfy' is not defined"
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
