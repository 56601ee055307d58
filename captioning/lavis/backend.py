"""BLIP by LAVIS as a captioner: a process behind the walls, with the interpreter of LAVIS's own environment.

The process reads the same files of the captioner as transformers does, and gets the same resized images; only the
model's code is LAVIS's.
"""

import dataclasses
import os
from pathlib import Path
from typing import Any

from captioning.generation import Generation
from captioning.preprocessing import Preprocessing
from captioning.sandboxed_captioner import SandboxedCaptioner
from captioning.weights import weight_files
from workspace.errors import UsageError, in_one_line
from workspace.limited.process import Script

CHILD = Path(__file__).with_name("child.py")
_VISION = (
    "image_size",
    "patch_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "layer_norm_eps",
)
_TEXT = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "hidden_act",
    "layer_norm_eps",
    "max_position_embeddings",
    "pad_token_id",
)
_GENERATION = ("num_beams", "max_length", "min_length", "repetition_penalty")


def lavis_python() -> Path:
    """The interpreter of LAVIS's environment: `$CF_LAVIS/bin/python`, or `.lavis/bin/python`, which `make lavis-env`
    creates in the project's folder.

    Raises `UsageError` when it does not exist.
    """
    folder = Path(os.environ.get("CF_LAVIS") or CHILD.parents[2] / ".lavis").absolute()
    python = folder / "bin" / "python"
    if not python.exists():
        raise UsageError(
            f"--backend lavis: {python} does not exist: run `make lavis-env`, or set CF_LAVIS to the folder of that "
            "environment"
        )
    return python


def load_lavis(folder: Path, device: str, generation: Generation) -> SandboxedCaptioner:
    """The BLIP in `folder`, in transformers' files, loaded by LAVIS onto a device.

    Raises `UsageError` when that fails, `CommunityForensicsError` when the process ends.
    """
    from transformers import AutoConfig

    python = lavis_python()
    try:
        config: Any = AutoConfig.from_pretrained(folder, local_files_only=True)
        preprocessing = Preprocessing(folder)
        if config.model_type != "blip" or not (folder / "vocab.txt").exists():
            raise UsageError(
                f"--backend lavis: {folder} is not a BLIP with a vocab.txt: name another --captioner, or use "
                "--backend transformers"
            )
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder} cannot be loaded as BLIP ({in_one_line(error)})") from error
    settings = {
        "folder": str(folder),
        "weights": [str(path) for path in weight_files(folder)],
        "vocabulary": str(folder / "vocab.txt"),
        "vision": {name: getattr(config.vision_config, name) for name in _VISION},
        "text": {name: getattr(config.text_config, name) for name in _TEXT},
        "mean": preprocessing.mean,
        "std": preprocessing.std,
        "target_size": dataclasses.asdict(preprocessing.target_size),
        "prompt": generation.prompt,
        "device": device,
        "generation": {name: getattr(generation, name) for name in _GENERATION},
    }
    return SandboxedCaptioner(Script(python, CHILD), folder, settings)
