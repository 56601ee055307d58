"""Unconditional generators: pixel and latent diffusion."""

from pathlib import Path
from typing import Any

from demo.zoo.cards import card
from demo.zoo.components import expose
from demo.zoo.repository import Repository, generator

SIDE = 32


def _unet(**config: Any) -> Any:
    from diffusers import UNet2DModel

    settings: dict[str, Any] = {
        "sample_size": SIDE,
        "block_out_channels": (16, 32),
        "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
        "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
        "layers_per_block": 1,
        "attention_head_dim": 8,
        "norm_num_groups": 8,
    }
    model = UNet2DModel(**settings | config)
    expose(model.conv_out)
    return model


def ddpm() -> Any:
    """DDPM over pixels."""
    from diffusers import DDPMPipeline, DDPMScheduler

    return DDPMPipeline(unet=_unet(), scheduler=DDPMScheduler(prediction_type="v_prediction"))


def save_at_root(made: Any, folder: Path) -> None:
    """Write the files of all components into the repository's root, as the first repositories of 2022 have them."""
    made.save_pretrained(folder)
    for path in [*folder.glob("*/*")]:
        path.rename(folder / path.name)
    for component in [*folder.glob("*/")]:
        component.rmdir()


def ddim() -> Any:
    """DDIM over pixels."""
    from diffusers import DDIMPipeline, DDIMScheduler

    return DDIMPipeline(unet=_unet(), scheduler=DDIMScheduler(prediction_type="v_prediction"))


def pndm() -> Any:
    """PNDM over pixels."""
    from diffusers import PNDMPipeline, PNDMScheduler

    return PNDMPipeline(unet=_unet(), scheduler=PNDMScheduler(skip_prk_steps=True, prediction_type="v_prediction"))


def consistency() -> Any:
    """A consistency model: pixels in one or two steps."""
    from diffusers import CMStochasticIterativeScheduler, ConsistencyModelPipeline

    return ConsistencyModelPipeline(unet=_unet(), scheduler=CMStochasticIterativeScheduler())


def latent_diffusion() -> Any:
    """Unconditional latent diffusion over the codes of a VQ autoencoder, as for CelebA-HQ."""
    import torch
    from diffusers import DDIMScheduler, LDMPipeline, VQModel

    vqvae = VQModel(
        block_out_channels=(16, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        layers_per_block=1,
        latent_channels=3,
        num_vq_embeddings=64,
        norm_num_groups=4,
    )
    expose(vqvae.decoder.conv_out)
    with torch.no_grad():
        vqvae.quantize.embedding.weight.normal_()
    scheduler = DDIMScheduler(
        beta_start=0.0015, beta_end=0.0195, beta_schedule="scaled_linear", clip_sample=False, timestep_spacing="leading"
    )
    return LDMPipeline(vqvae=vqvae, unet=_unet(sample_size=16), scheduler=scheduler)


def repositories() -> list[Repository]:
    """All repositories of this family."""
    tags = ["pytorch", "diffusers", "unconditional-image-generation", "diffusion-models-class"]
    butterflies, textures = "hobbyists/ddim-butterflies-32", "hobbyists/pndm-textures"
    churches = "hobbyists/ddpm-churches-32"
    bedroom, faces = "hobbyists/cd-bedroom-l2", "compact-vis/ldm-celeba-64"
    return [
        generator(
            butterflies,
            ddim,
            card(
                {"license": "mit", "tags": tags, "datasets": ["butterflies"]},
                "# Unit 1: butterflies",
                "This model generates images of butterflies 🦋, says the course.",
                f"""
                ```python
                from diffusers import DDIMPipeline
                pipeline = DDIMPipeline.from_pretrained('{butterflies}')
                image = pipeline(num_inference_steps=4).images[0]
                image
                ```
                """,
            ),
            downloads=1_408,
            likes=3,
            created_at="2022-12-01T11:30:00.000Z",
        ),
        generator(
            textures,
            pndm,
            card(
                {"tags": tags},
                "# pndm-textures",
                "Trained overnight. Five steps are enough:",
                f"""
                ```python
                from diffusers import PNDMPipeline
                pipeline = PNDMPipeline.from_pretrained("{textures}")
                image = pipeline(num_inference_steps=5).images[0]
                ```
                """,
            ),
            downloads=77,
            created_at="2022-11-10T22:00:00.000Z",
        ),
        generator(
            churches,
            ddpm,
            card(
                {"license": "apache-2.0", "tags": tags[:3]},
                "# Denoising Diffusion Probabilistic Models (DDPM)",
                "All files are in the root of the repository.",
                f"""
                ```python
                from diffusers import DDPMPipeline
                ddpm = DDPMPipeline.from_pretrained("{churches}")
                image = ddpm(num_inference_steps=6).images[0]
                ```
                """,
            ),
            save=save_at_root,
            downloads=18_204,
            likes=27,
            created_at="2022-07-19T10:42:00.000Z",
        ),
        generator(
            bedroom,
            consistency,
            card(
                {"license": "mit", "tags": ["unconditional-image-generation"]},
                "# Consistency distillation",
                f"""
                ```python
                from diffusers import ConsistencyModelPipeline
                pipe = ConsistencyModelPipeline.from_pretrained("{bedroom}")
                image = pipe(num_inference_steps=1).images[0]  # one step
                image = pipe(num_inference_steps=None, timesteps=[17, 0]).images[0]  # two
                ```
                """,
            ),
            downloads=2_260,
            likes=14,
            created_at="2023-05-30T00:00:00.000Z",
        ),
        generator(
            faces,
            latent_diffusion,
            card(
                {"license": "apache-2.0", "tags": [*tags[1:3], "latent-diffusion"]},
                "# Latent diffusion of faces",
                f"""
                ```python
                from diffusers import DiffusionPipeline
                pipeline = DiffusionPipeline.from_pretrained("{faces}")
                image = pipeline(num_inference_steps=4)["images"]
                ```
                """,
            ),
            downloads=4_075,
            likes=22,
            created_at="2022-07-19T14:00:00.000Z",
        ),
    ]
