"""What the fork server imports once, so that a child starts in under a second: importing is all it does.

The one module of the project with heavy imports at its head; only the fork server and the child import it.
"""

import cv2
import diffusers
import numpy
import peft
import pyarrow.parquet
import torch
import transformers
from diffusers import (
    DDPMPipeline,
    DiffusionPipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from tqdm import tqdm  # type: ignore[import-untyped]
from transformers import CLIPImageProcessorPil, CLIPTextModel, CLIPTokenizer, T5EncoderModel

# Its lock is a semaphore: made here it has no name; made in a child, it would be left behind when the child is ended.
tqdm.get_lock()

__all__ = [
    "CLIPImageProcessorPil",
    "CLIPTextModel",
    "CLIPTokenizer",
    "DDPMPipeline",
    "DiffusionPipeline",
    "StableDiffusionPipeline",
    "StableDiffusionSafetyChecker",
    "StableDiffusionXLPipeline",
    "T5EncoderModel",
    "UNet2DConditionModel",
    "cv2",
    "diffusers",
    "numpy",
    "peft",
    "pyarrow",
    "torch",
    "tqdm",
    "transformers",
]
