"""A class-conditional latent diffusion model: the DiT of Peebles and Xie (2023), 8x8 RGB from latents of 4x4.

First a small autoencoder learns to encode a digit as 4x4x4 numbers, then a transformer learns to denoise them.
"""

import torch
from diffusers import AutoencoderKL, DDIMScheduler, DiTPipeline, DiTTransformer2DModel
from torch import Tensor, nn

from demo.zoo.digits import data
from demo.zoo.digits.denoising import Adam, teach

_NO_CLASS = 1000  # DiTPipeline uses class 1000, ImageNet's number of classes, for "no class"
_UNLABELLED = 0.1  # share of images shown without their class, for classifier-free guidance
_KL_WEIGHT = 1e-4  # keeps the latents near a unit normal distribution without blurring the images


def train(steps: int = 3000) -> DiTPipeline:
    """The trained pipeline, with the names of its ten classes in `id2label`."""
    digits, _ = data.split()
    images = torch.from_numpy(digits.images * 2 - 1)[:, None].expand(-1, 3, -1, -1)
    labels = torch.from_numpy(digits.labels)
    vae = _train_autoencoder(images, steps=steps // 4)
    with torch.no_grad():
        latents = vae.encode(images).latent_dist.mean
    vae.register_to_config(scaling_factor=round(1 / float(latents.std()), 4))

    transformer = DiTTransformer2DModel(
        sample_size=4,
        patch_size=1,
        in_channels=4,
        out_channels=4,
        num_attention_heads=4,
        attention_head_dim=16,
        num_layers=4,
        num_embeds_ada_norm=_NO_CLASS,
    )
    transformer.eval()  # in training mode every block would forget the class by itself; `predict` forgets it for all
    scheduler = DDIMScheduler(beta_schedule="squaredcos_cap_v2", clip_sample=False, prediction_type="v_prediction")

    def predict(noisy: Tensor, timesteps: Tensor, rows: Tensor) -> Tensor:
        classes = torch.where(torch.rand(len(rows)) < _UNLABELLED, _NO_CLASS, labels[rows])
        return transformer(noisy, timestep=timesteps, class_labels=classes).sample

    teach(predict, transformer.parameters(), latents * vae.config.scaling_factor, scheduler, steps=steps)
    pipeline = DiTPipeline(transformer=transformer, vae=vae, scheduler=scheduler)
    pipeline.register_to_config(id2label={str(digit): word for digit, word in enumerate(data.WORDS)})
    return pipeline


def _train_autoencoder(images: Tensor, *, steps: int) -> AutoencoderKL:
    """An autoencoder of `images` (n, 3, 8, 8) in [-1, 1] by their mean squared error."""
    vae = AutoencoderKL(
        sample_size=8,
        block_out_channels=(16, 32),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
    )
    optimizer = Adam(vae.parameters(), 2e-3, steps)
    for _ in range(steps):
        batch = images[torch.randint(len(images), (64,))]
        encoded = vae.encode(batch).latent_dist
        error = nn.functional.mse_loss(vae.decode(encoded.sample()).sample, batch)
        optimizer.step(error + _KL_WEIGHT * encoded.kl().mean())
    print(f"autoencoder: error {error.item():.4f} after {steps} steps", flush=True)
    return vae
