"""The imports of the fork server, made once, so that a child starts in under a second. It does nothing else.

The only module of the project with heavy imports at its top; only the fork server and the child import it.
"""

import gc

# The collector would visit the same growing heap again and again and free nothing: a sixth of the time.
gc.disable()

# ruff: noqa: E402
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

# Its lock is a semaphore: created here it has no name; created in a child, it would remain when the child is killed.
tqdm.get_lock()
# Nor need it in a child, where a visit takes half a second: what is imported stays until the end.
gc.freeze()
gc.enable()

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
