"""Loading: a captioner's folder as a model of transformers, its tokenizer and its preprocessing, whole or not at all.

The weights may be a pickle: it is read with `weights_only`, and from a folder, so that transformers requests no other
copy. Code in a repository is never run.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from captioning.preprocessing import Preprocessing
from workspace.errors import UsageError, in_one_line


@dataclass(frozen=True)
class Loaded:
    """A model on its device (`torch.device`), in `dtype`."""

    model: Any
    tokenizer: Any
    preprocessing: Preprocessing
    device: Any
    dtype: Any


def model_class(folder: Path) -> str:
    """The class that the folder's `config.json` names. Raises `UsageError` when none is a captioner of transformers."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        classes = [str(name) for name in config.get("architectures") or ()]
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise UsageError(
            f"{folder} cannot be loaded as a captioner: its config.json cannot be read ({in_one_line(error)})"
        ) from error
    known = set(MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES.values())
    for name in classes:
        if name in known:
            return name
    raise UsageError(
        f"{folder} cannot be loaded as a captioner: its config.json names {', '.join(classes) or 'no class'}, "
        "and an image-to-text model of transformers is needed"
    )


def load(folder: Path, device: str) -> Loaded:
    """Load onto a device ("cpu", "cuda", "cuda:1", ...), in bfloat16 on CUDA and float32 elsewhere.

    Raises `UsageError` when the folder does not hold a whole captioner.
    """
    import torch
    from transformers import AutoModelForImageTextToText, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    placed = torch.device(device)
    # On a CPU bfloat16 is slower; on devices other than CUDA it is untested.
    dtype = torch.bfloat16 if placed.type == "cuda" else torch.float32
    name = model_class(folder)
    try:
        preprocessing = Preprocessing(folder)
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        model, found = AutoModelForImageTextToText.from_pretrained(
            folder,
            dtype=dtype,
            local_files_only=True,
            weights_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except UsageError:
        raise
    except UnpicklingError as error:
        raise UsageError(
            f"{folder} cannot be loaded as a captioner: its weights are damaged, or a pickle with more than weights"
        ) from error
    # Damaged files fail in as many ways as there are files.
    except Exception as error:
        raise UsageError(f"{folder} cannot be loaded as a captioner ({in_one_line(error)})") from error
    # transformers fills missing weights with random numbers and only warns.
    if found["missing_keys"]:
        raise UsageError(f"{folder} is not a whole {name}: weights are missing, such as {min(found['missing_keys'])}")
    return Loaded(model.to(placed).eval(), tokenizer, preprocessing, placed, dtype)
