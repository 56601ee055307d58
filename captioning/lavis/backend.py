"""BLIP by LAVIS as a captioner: starts the child process and sends it images.

The child reads the same files of the captioner as transformers does, and gets the same resized images; only the model's
code is LAVIS's. It is started without secrets and offline, and ends with this process.
"""

import base64
import contextlib
import json
import os
import subprocess
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from captioning.generation import Generation
from captioning.preprocessing import Preprocessing
from captioning.weights import weight_files
from workspace.environment import without_secrets
from workspace.errors import CommunityForensicsError, UsageError, in_one_line

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


def lavis_python() -> Path:
    """The interpreter of LAVIS's environment: `$CF_LAVIS/bin/python`, or `.lavis/bin/python`, which `make lavis-env`
    creates in the project's folder.

    Raises `UsageError` when it does not exist.
    """
    folder = Path(os.environ.get("CF_LAVIS") or CHILD.parents[2] / ".lavis")
    python = folder / "bin" / "python"
    if not python.exists():
        raise UsageError(
            f"--backend lavis: {python} does not exist: run `make lavis-env`, or set CF_LAVIS to the folder of that "
            "environment"
        )
    return python


class Lavis:
    """A BLIP loaded by LAVIS; a `captioning.captioner.Captioner`."""

    def __init__(self, folder: Path, device: str, generation: Generation) -> None:
        """Load from a folder of transformers' files onto a device. Raises `UsageError` when that fails."""
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
        self.target_size = preprocessing.target_size
        self._scratch = tempfile.TemporaryDirectory(prefix="cf-lavis-")
        self._process = self._start(python)
        weakref.finalize(self, _end, self._process, self._scratch)
        try:
            self._request(
                {
                    "weights": [str(path) for path in weight_files(folder)],
                    "vocabulary": str(folder / "vocab.txt"),
                    "vision": {name: getattr(config.vision_config, name) for name in _VISION},
                    "text": {name: getattr(config.text_config, name) for name in _TEXT},
                    "mean": preprocessing.mean,
                    "std": preprocessing.std,
                    "prompt": generation.prompt,
                    "device": device,
                    "generation": {
                        "num_beams": generation.num_beams,
                        "max_length": generation.max_length,
                        "min_length": generation.min_length,
                        "repetition_penalty": generation.repetition_penalty,
                    },
                }
            )
        except CommunityForensicsError as error:
            raise UsageError(f"{folder} cannot be loaded by LAVIS ({error})") from error

    def caption(self, images: Sequence[npt.NDArray[np.uint8]]) -> list[str]:
        """Captions of a batch, in its order. Raises `CommunityForensicsError` when LAVIS fails."""
        encoded = [
            {"size": [image.shape[1], image.shape[0]], "rgb": base64.b64encode(image.tobytes()).decode()}
            for image in images
        ]
        captions: list[str] = self._request({"images": encoded})["captions"]
        return captions

    def _start(self, python: Path) -> "subprocess.Popen[str]":
        with self._log.open("wb") as log:
            return subprocess.Popen(
                [str(python), str(CHILD)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                encoding="utf-8",
                # Its old version of the Hub's client would reorganise the user's cache.
                env={**without_secrets(), "HF_HOME": self._scratch.name},
                cwd=self._scratch.name,
                start_new_session=True,
            )

    @property
    def _log(self) -> Path:
        return Path(self._scratch.name) / "stderr"

    def _request(self, message: dict[str, Any]) -> dict[str, Any]:
        """The child's answer to a message."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(OSError):  # the child has ended, which is reported below
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            last_line = [text for text in self._log.read_text(errors="replace").splitlines() if text.strip()][-1:]
            raise CommunityForensicsError(
                f"the process of LAVIS ended with exit code {self._process.wait()}: {' '.join(last_line)[:300]}"
            )
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise CommunityForensicsError(f"LAVIS failed: {answer['error']}")
        return answer


def _end(process: "subprocess.Popen[str]", scratch: "tempfile.TemporaryDirectory[str]") -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):  # a message that was not sent completely
                pipe.close()
    scratch.cleanup()
