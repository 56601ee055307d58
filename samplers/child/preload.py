"""The imports of the fork server, made once, so that a child starts in under a second. It does nothing else.

The only module of the project with heavy imports at its top; only the fork server and the child import it.
"""

import gc
import threading

# The collector would visit the same growing heap again and again and free nothing: a sixth of the time.
gc.disable()

# ruff: noqa: E402
import torch

# While it is imported, diffusers asks for a GPU. To answer, torch starts CUDA's driver, and in no process that is
# forked afterwards can CUDA be used (torch's notes on multiprocessing, "poison fork"). So meanwhile there is no GPU.
_is_available = torch.cuda.is_available
torch.cuda.is_available = lambda: False

import cv2
import diffusers
import diffusers.guiders
import diffusers.utils.dummy_onnx_objects
import numpy
import peft
import PIL.ImageFile
import pyarrow.parquet
import torch.utils.serialization.config
import torchsde
import transformers
from diffusers import (
    DDPMPipeline,
    DiffusionPipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from diffusers.schedulers import KarrasDiffusionSchedulers
from diffusers.utils.torch_utils import TorchDeviceBackend
from tqdm import tqdm  # type: ignore[import-untyped]
from transformers import CLIPImageProcessorPil, CLIPTextModel, CLIPTokenizer, T5EncoderModel
from transformers.conversion_mapping import get_checkpoint_conversion_mapping

import samplers.child.loop
from workspace.sandbox import reach

#: A pipeline of Stable Diffusion asks for all of them when it is loaded.
SCHEDULERS = [getattr(diffusers, scheduler.name) for scheduler in KarrasDiffusionSchedulers]

torch.cuda.is_available = _is_available
# It remembers the answer, which it asks for again when models wait in the machine's memory.
TorchDeviceBackend._detect_device_type.cache_clear()
# Where onnxruntime is installed, diffusers imports it in each child that loads a component, to ask whether it is one of
# ONNX. None is; here it would leave a thread. With the class that stands for it elsewhere it is not asked for.
diffusers.OnnxRuntimeModel = diffusers.utils.dummy_onnx_objects.OnnxRuntimeModel
reach.imported()
# Compiles hundreds of patterns at the first model that is loaded, a fifth of the start of a child, and remembers them.
get_checkpoint_conversion_mapping("clip")
# By default progress bars take a semaphore that all processes forked from here share: a child that is killed while it
# has it would let every later child wait for ever at its first bar.
tqdm.set_lock(threading.RLock())
# Nor need it in a child, where a visit takes half a second: what is imported stays until the end.
gc.freeze()
gc.enable()

__all__ = [
    "PIL",
    "SCHEDULERS",
    "CLIPImageProcessorPil",
    "CLIPTextModel",
    "CLIPTokenizer",
    "DDPMPipeline",
    "DiffusionPipeline",
    "StableDiffusionPipeline",
    "StableDiffusionSafetyChecker",
    "StableDiffusionXLPipeline",
    "T5EncoderModel",
    "TorchDeviceBackend",
    "UNet2DConditionModel",
    "cv2",
    "diffusers",
    "numpy",
    "peft",
    "pyarrow",
    "samplers",
    "torch",
    "torchsde",
    "tqdm",
    "transformers",
]
