"""What many families need to draw more than grey without training."""

from collections.abc import Callable
from typing import Any

from demo.zoo.components import expose


def stirred(model: Any, deviation: float = 0.2) -> Any:
    """The model with every parameter that starts at zero, or uninitialised, drawn at random.

    Zero is how many layers start, so that they add nothing before they have learnt: without training, neither prompt
    nor noise would come through them.
    """
    import torch

    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.isfinite().all() or not parameter.any():
                parameter.normal_(std=deviation)
    return model


def around(class_name: str, make: Callable[[], Any]) -> Callable[[], Any]:
    """A pipeline of that class around the components of another's."""

    def remade() -> Any:
        import diffusers

        cls = getattr(diffusers, class_name)
        parts, _ = cls._get_signature_keys(cls)
        return cls(**{name: part for name, part in make().components.items() if name in parts})

    return remade


def flux_2_autoencoder(latent_channels: int = 4) -> Any:
    from diffusers import AutoencoderKLFlux2

    model = AutoencoderKLFlux2(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8, 8, 8, 8),
        layers_per_block=1,
        latent_channels=latent_channels,
        norm_num_groups=4,
    )
    expose(model.decoder.conv_out)
    return model


#: A chat template for messages whose content is a list of parts.
PARTS_CHAT = (
    "{%- for message in messages -%}<|im_start|>{{ message.role }}\n"
    "{%- for part in message.content -%}{{ part.text }}{%- endfor -%}<|im_end|>\n{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|im_start|>assistant\n{%- endif -%}"
)
