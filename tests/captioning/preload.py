"""What a process that captions imports, for the server that `tests/captioning/runs.py` forks processes from."""

import torch
from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer, BlipForConditionalGeneration

import captioning.cli

__all__ = [
    "AutoImageProcessor",
    "AutoModelForImageTextToText",
    "AutoTokenizer",
    "BlipForConditionalGeneration",
    "captioning",
    "torch",
]
