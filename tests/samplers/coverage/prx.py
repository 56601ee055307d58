"""PRX: a transformer in latents or in pixels; ftfy mends its prompts."""

from typing import Any

from demo.zoo.components import autoencoder, spread
from demo.zoo.flow_transformers import flow_scheduler
from tests.samplers.coverage.components import stirred
from tests.samplers.coverage.kind import Kind, sized
from tests.samplers.coverage.qwen import qwen_3


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
        vae=autoencoder(shift_factor=0.0),
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


_SMALL = sized(64, use_resolution_binning=False)

KINDS = {
    "PRXPipeline": Kind(prx, asked=_SMALL, libraries={"text_encoder": "prx"}),
    "PRXPixelPipeline": Kind(prx_pixel, asked=_SMALL),
}
