"""The state of a run that is not finished: complete folders `state/step-00000100`, the last two.

Each is written under another name, flushed and renamed, so one that exists is complete. It has what accelerate saves
(weights, optimiser, random state of each process), and `progress.json`.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from detectors.training.log import TrainingStep
from workspace import records
from workspace.atomic import sync_path, write_json
from workspace.errors import CommunityForensicsError, UsageError, in_one_line
from workspace.terminal import say

_KEPT = 2
_PREFIX = "step-"


class Checkpoints:
    """The checkpoints of one run; `accelerator` is accelerate's, prepared."""

    def __init__(self, folder: Path, accelerator: Any) -> None:
        self._folder, self._accelerator = folder, accelerator

    def save(self, step: int, progress: dict[str, Any], log: Sequence[TrainingStep]) -> None:
        """Save the state after so many steps. All processes call it."""
        target = self._folder / f"{_PREFIX}{step:08d}"
        temporary = self._folder / f".{target.name}.partial"
        if target.exists():
            return
        if self._accelerator.is_main_process:
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
        self._accelerator.wait_for_everyone()
        self._accelerator.save_state(str(temporary))
        self._accelerator.wait_for_everyone()
        if self._accelerator.is_main_process:
            records.write(temporary / "training.parquet", TrainingStep, log)
            write_json(temporary / "progress.json", {"step": step, **progress})
            for file in temporary.rglob("*"):
                if file.is_file():
                    sync_path(file)
            sync_path(temporary)
            temporary.rename(target)
            sync_path(self._folder)
            for old in self._saved()[:-_KEPT]:
                shutil.rmtree(old, ignore_errors=True)
        self._accelerator.wait_for_everyone()

    def restore(self) -> tuple[dict[str, Any], list[TrainingStep]] | None:
        """Continue with the newest state: its progress and the steps so far; None: there is none.

        One that cannot be read is named, and the one before it is used.
        """
        for folder in reversed(self._saved()):
            try:
                progress = json.loads((folder / "progress.json").read_text(encoding="utf-8"))
                log = records.read(folder / "training.parquet", TrainingStep)
                self._accelerator.load_state(str(folder))
            # accelerate raises what torch and safetensors raise for a damaged file.
            except (OSError, ValueError, RuntimeError, KeyError, EOFError, UsageError) as error:
                say(f"{folder} cannot be used: {in_one_line(error, 200)}", err=True)
                continue
            except Exception as error:
                if type(error).__name__ not in ("SafetensorError", "UnpicklingError"):
                    raise
                say(f"{folder} cannot be used: {in_one_line(error, 200)}", err=True)
                continue
            return progress, log
        if self._saved():
            raise CommunityForensicsError(
                f"no checkpoint in {self._folder} can be read: remove that folder to begin anew"
            )
        return None

    def _saved(self) -> list[Path]:
        return sorted(self._folder.glob(f"{_PREFIX}*")) if self._folder.is_dir() else []
