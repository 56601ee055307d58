"""The training of a network, by accelerate: on the CPU, on a GPU, or in the processes that `accelerate launch` starts.

A batch is made of micro-batches, which are one forward pass each; processes share them, so that their number changes no
gradient beyond rounding (and not even that, with two processes and a network without batch statistics). What is random
depends on the seed and the step only. A run that is interrupted saves its state; one that is killed continues from the
last state, and ends with the same weights on the CPU.
"""

import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import gather_object

from detectors.data.index import Index, Rows
from detectors.metrics.validation import Validation, validation_rows
from detectors.models.device import precision_of
from detectors.models.network_detector import autocast
from detectors.models.networks.network import Network
from detectors.models.registry import ModelSpec
from detectors.pixels.inputs import Image
from detectors.protocols.folds import Fold
from detectors.training.checkpoints import Checkpoints
from detectors.training.draws import Draws
from detectors.training.log import TrainingStep
from detectors.training.preparing import Preparers, Wanted
from detectors.training.reading import consecutive
from detectors.training.schedules import Schedule
from workspace.command_line import REQUEUE_SIGNALS
from workspace.errors import CommunityForensicsError
from workspace.identity import number_of
from workspace.progress import task
from workspace.terminal import say

#: A validation whose area under the ROC curve is below this, after the warm-up, is hardly better than chance.
_CHANCE = 0.55
_TORCH_SEEDS = 1 << 63
#: Steps of an inner optimiser for each step, and how much later its learning rate falls (Meng et al.: 3; every 60,000
#: steps where the others fall every 20,000).
_INNER_STEPS, _INNER_DECAY = 3, 3


@dataclass(frozen=True)
class Trained:
    """What training left, in the main process."""

    state: dict[str, torch.Tensor]
    log: list[TrainingStep]
    validation: Validation
    steps: int


class Training:
    """One run's training."""

    def __init__(
        self,
        spec: ModelSpec,
        network: Network,
        index: Index,
        fold: Fold,
        *,
        seed: int,
        steps: int,
        device: str = "cpu",
        workers: int | None = None,
        save_seconds: float = 600.0,
    ) -> None:
        """`device`: as torch names it. `workers`: processes that prepare images; None: one for each core."""
        settings = spec.settings
        self._spec, self._index, self._fold, self._seed, self._steps = spec, index, fold, seed, steps
        self._workers, self._save_seconds = workers, save_seconds
        self._batch = int(settings["batch"])
        self._micro = min(int(settings["micro_batch"]), self._batch)
        self.accelerator = _accelerator(device, precision_of(str(settings["precision"]), device))
        processes = self.accelerator.num_processes
        if (self._batch // self._micro) % processes:
            raise CommunityForensicsError(
                f"{processes} processes cannot share a batch of {self._batch} in micro-batches of {self._micro}: set "
                "micro_batch so that their number is a multiple"
            )
        self._parameters = [one for one in network.parameters() if one.requires_grad]
        kind = torch.optim.AdamW if settings["optimizer"] == "adamw" else torch.optim.Adam
        groups = network.parameter_groups()
        optimizer = kind(
            [{"params": list(parameters), "scale": scale} for parameters, scale in groups],
            lr=float(settings["lr"]),
            weight_decay=float(settings["weight_decay"]),
        )
        # Of what is trained several times for each step; none as a rule.
        self._inner = network.inner_parameters()
        inner = [torch.optim.Adam(self._inner, lr=float(settings["lr"]))] if self._inner else []
        self._model, self._optimizer, *self._inner_optimizers = self.accelerator.prepare(network, optimizer, *inner)
        self._schedule = Schedule.of(settings, steps)
        self._validation = validation_rows(
            index, fold.validation, int(settings["validation_images"]), number_of("validation", seed)
        )

    @property
    def network(self) -> Network:
        """The network, unwrapped."""
        found: Network = self.accelerator.unwrap_model(self._model)
        return found

    def run(self, state: Any, name: str) -> Trained:
        """Train to the end, from the newest state in the folder `state`.

        Raises `CommunityForensicsError` where the loss is no number, and `KeyboardInterrupt` when it was interrupted,
        after it saved its state.
        """
        checkpoints = Checkpoints(state, self.accelerator)
        log: list[TrainingStep] = []
        done, order = 0, None
        if (restored := checkpoints.restore()) is not None:
            progress, log = restored
            done = int(progress["step"])
            order = progress.get("order", "")
            self._schedule.restore(progress["schedule"])
        validation = None
        with (
            Preparers(self._index, self._spec.input, self._workers, 2 * self._micro) as preparers,
            _interruptions() as interrupted,
            task(name, total=self._steps) as bar,
        ):
            bar.advance(done)
            saved = time.monotonic()
            if done < self._steps:
                balance = str(self._spec.settings["balance"])
                draws = Draws(self._index, self._fold.train, self._seed, balance, self._batch, self._micro)
                if order not in (None, draws.order):
                    raise CommunityForensicsError(
                        f"the images lie in other row groups than when the state in {state} was saved, so that they "
                        "would be drawn in another order: name the data as it was, or remove that folder to begin anew"
                    )
                images = preparers.read(self._wanted(draws, done))
            for step in range(done, self._steps):
                if self._schedule.is_over:
                    break
                record = self._step(step, images, draws)
                done = step + 1
                if done % int(self._spec.settings["validate_every"]) == 0 or done == self._steps:
                    validation = self._validated(preparers)
                    self._schedule.validated(validation.auroc)
                    self._warn(validation, step)
                    record = _with(record, validation)
                log.append(record)
                bar.advance()
                stop, save = self._agreed(bool(interrupted), time.monotonic() - saved >= self._save_seconds)
                if stop or save:
                    checkpoints.save(done, {"schedule": self._schedule.state(), "order": draws.order}, log)
                    saved = time.monotonic()
                if stop and done < self._steps:
                    raise KeyboardInterrupt
            if validation is None:
                validation = self._validated(preparers)
        return Trained(
            {name: value.detach().cpu().contiguous() for name, value in self.network.state_dict().items()},
            log,
            validation,
            done,
        )

    def _wanted(self, draws: Draws, done: int) -> Iterator[Wanted]:
        """The images of this process from a step on, in the order in which `_step` takes them."""
        scheme, hashes = str(self._spec.settings["augmentation"]), self._index.table.column("sha256")
        probability = float(self._spec.settings["augment_p"])
        for step in range(done, self._steps):
            for micro in self._micros():
                first = step * self._batch + micro * self._micro
                rows, passes, _ = draws.batch(first, self._micro)
                together = draws.together(first, self._micro)
                for row, number, others in zip(rows.tolist(), passes.tolist(), together, strict=True):
                    seed = number_of("augmentation", self._seed, number, hashes[row].as_py())
                    yield Wanted(row, scheme, seed, probability, others)

    def _micros(self) -> range:
        """The micro-batches of a batch that are this process's."""
        return range(self.accelerator.process_index, self._batch // self._micro, self.accelerator.num_processes)

    def _step(self, step: int, images: Iterator[Image | None], draws: Draws) -> TrainingStep:
        start, waited, skipped, losses = time.monotonic(), 0.0, 0, []
        self._model.train()
        rate = self._schedule.rate(step)
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        self.network.progressed(step / self._steps)
        micros = self._micros()
        for micro in micros:
            first = step * self._batch + micro * self._micro
            labels = draws.batch(first, self._micro)[2]
            before = time.monotonic()
            prepared = [next(images) for _ in range(self._micro)]
            waited += time.monotonic() - before
            there = [place for place, image in enumerate(prepared) if image is not None]
            skipped += self._micro - len(there)
            if not there:
                first_ones = " ".join(self._index.unread_lines(1))
                raise CommunityForensicsError(f"no image of a batch of {self._micro} could be read: {first_ones}")
            pixels = torch.from_numpy(np.stack([prepared[place] for place in there])).to(self.accelerator.device)  # type: ignore[misc]
            wanted = torch.from_numpy(labels[there].astype(np.float32)).to(self.accelerator.device)
            torch.manual_seed(number_of("network", self._seed, first) % _TORCH_SEEDS)
            if micro == micros[0]:
                self._inner_steps(step, pixels)
            together = nullcontext() if micro == micros[-1] else self.accelerator.no_sync(self._model)
            with together:
                with self.accelerator.autocast():
                    loss = self._model(self._spec.input.normalized(pixels), wanted)
                self.accelerator.backward(loss / len(micros))
            losses.append(loss.detach())
        mean = float(self.accelerator.reduce(torch.stack(losses).mean(), "mean"))
        if not math.isfinite(mean):
            raise CommunityForensicsError(
                f"the loss is {mean} at step {step + 1}, with a learning rate of {rate:g}: the run ends; set a lower "
                "lr, or precision=no"
            )
        if clip := float(self._spec.settings["clip"]):
            self.accelerator.clip_grad_norm_(self._parameters, clip)
        self._optimizer.step()
        self._optimizer.zero_grad()
        seconds = time.monotonic() - start
        return TrainingStep(
            step=step + 1,
            loss=mean,
            lr=rate,
            images_per_second=self._batch / seconds,
            waited_seconds=waited,
            skipped=skipped,
        )

    def _inner_steps(self, step: int, pixels: torch.Tensor) -> None:
        """Train what has an optimiser of its own on the first micro-batch, several times."""
        for optimizer in self._inner_optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self._schedule.lr / 10 ** (step // (_INNER_DECAY * self._schedule.every))
            for _ in range(_INNER_STEPS):
                optimizer.zero_grad()
                with self.accelerator.autocast():
                    loss = self.network.inner_loss(self._spec.input.normalized(pixels))
                self.accelerator.backward(loss)
                if self.accelerator.num_processes > 1:
                    for parameter in self._inner:
                        parameter.grad = self.accelerator.reduce(parameter.grad, "mean")
                optimizer.step()
            optimizer.zero_grad()

    def _validated(self, preparers: Preparers) -> Validation:
        """The logits of the validation images, of all processes, in the order of their rows."""
        self._model.eval()
        place, processes = self.accelerator.process_index, self.accelerator.num_processes
        mine: Rows = self._validation[place::processes]
        found: list[tuple[int, int, float]] = []
        waiting: list[tuple[int, Image]] = []

        def compute() -> None:
            if not waiting:
                return
            rows, images = zip(*waiting, strict=True)
            device = self.accelerator.device
            with torch.inference_mode(), autocast(device.type, self.accelerator.mixed_precision):
                pixels = self._spec.input.normalized(torch.from_numpy(np.stack(images)).to(device))
                logits = self.network(pixels).float().cpu().tolist()
            found.extend(zip(rows, self._index.labels[list(rows)].tolist(), logits, strict=True))
            waiting.clear()

        together = consecutive(self._index, mine)
        images = preparers.read(Wanted(row, "none", together=next(together)) for row in mine.tolist())
        for row, image in zip(mine.tolist(), images, strict=True):
            if image is not None:
                waiting.append((row, image))
            if len(waiting) == self._micro:
                compute()
        compute()
        everything = sorted(gather_object(found)) if processes > 1 else sorted(found)
        return Validation(
            np.array([label for _, label, _ in everything], np.int8),
            np.array([logit for _, _, logit in everything], np.float32),
        )

    def _warn(self, validation: Validation, step: int) -> None:
        warm = self._schedule.warmup * self._steps
        if step >= warm and validation.auroc is not None and validation.auroc < _CHANCE:
            self._say(
                f"warning: at step {step + 1} the area under the ROC curve of validation is {validation.auroc:.2f}: "
                "hardly better than chance"
            )

    def _say(self, text: str) -> None:
        if self.accelerator.is_main_process:
            say(text, err=True)

    def _agreed(self, stop: bool, save: bool) -> tuple[bool, bool]:
        """Whether any process stops, or the main process saves: all of them must do the same."""
        if self.accelerator.num_processes == 1:
            return stop, save
        mine = torch.tensor([stop, save and self.accelerator.is_main_process], dtype=torch.int32)
        both = self.accelerator.reduce(mine.to(self.accelerator.device), "sum").tolist()
        return bool(both[0]), bool(both[1])


def _with(record: TrainingStep, validation: Validation) -> TrainingStep:
    return replace(record, validation_auroc=validation.auroc, validation_accuracy=validation.accuracy)


def _accelerator(device: str, precision: str) -> Any:
    """accelerate's object for a device; several runs of one process may have several precisions."""
    cpu = device.startswith("cpu")
    shared = AcceleratorState._shared_state
    if shared and (shared.get("_cpu") != cpu or shared.get("_mixed_precision") != precision):
        AcceleratorState._reset_state(reset_partial_state=shared.get("_cpu") != cpu)
    if not cpu and ":" in device:
        torch.cuda.set_device(device)
    return Accelerator(cpu=cpu, mixed_precision=precision)


@contextmanager
def _interruptions() -> Iterator[list[int]]:
    """A block in which signals that interrupt a command are only noted, so that a step is finished; its end hands the
    first of them on. Only in the main thread: elsewhere Python does not let them be caught."""
    noted: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        noted.append(number)

    numbers = (signal.SIGINT, *REQUEUE_SIGNALS)
    try:
        before = {number: signal.signal(number, note) for number in numbers}
    except ValueError:
        before = {}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if noted:
            signal.raise_signal(noted[0])
