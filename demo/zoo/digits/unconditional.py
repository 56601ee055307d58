"""An unconditional pixel diffusion model: the DDPM of Ho et al. (2020), 8x8 pixels of one grey channel."""

import torch
from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel
from torch import Tensor

from demo.zoo.digits import data
from demo.zoo.digits.denoising import teach


def train(steps: int = 2400) -> DDPMPipeline:
    """The trained pipeline; its images have the mode L."""
    unet = UNet2DModel(
        sample_size=8,
        in_channels=1,
        out_channels=1,
        block_out_channels=(32, 64),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=16,
        norm_num_groups=8,
    )
    scheduler = DDPMScheduler(beta_schedule="squaredcos_cap_v2", variance_type="fixed_small", clip_sample=True)
    digits, _ = data.split()
    clean = torch.from_numpy(digits.images * 2 - 1)[:, None]

    def predict(noisy: Tensor, timesteps: Tensor, _rows: Tensor) -> Tensor:
        return unet(noisy, timesteps).sample

    teach(predict, unet.parameters(), clean, scheduler, steps=steps)
    return DDPMPipeline(unet=unet, scheduler=scheduler)
