"""The learning rate of each step.

`cosine`: a linear rise over the first part, then a cosine down to a fraction. `constant`: the rise alone. `decay`: as
constant, divided by ten every so many steps. `plateau`: as constant, divided by ten when five validations in turn were
no better; below 1e-6 the run ends (Wang et al., Ojha et al.).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from detectors.run import Setting

#: Validations without a better one before the rate falls, and the lowest rate, in the code of Ojha et al.
_PATIENCE, _LOWEST = 5, 1e-6


@dataclass
class Schedule:
    """The learning rate of a run; what it knows of former validations is its state."""

    name: str
    lr: float
    steps: int
    warmup: float = 0.0
    final: float = 0.0
    every: int = 0
    """Steps between two falls of `decay`."""
    best: float = -math.inf
    stale: int = 0
    factor: float = 1.0

    @classmethod
    def of(cls, settings: Mapping[str, Setting], steps: int) -> "Schedule":
        """The schedule of these hyper-parameters."""
        lr, warmup, final = (float(settings[name]) for name in ("lr", "warmup", "final_lr"))
        return cls(str(settings["schedule"]), lr, steps, warmup, final, int(settings["decay_every"]))

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        rise = round(self.warmup * self.steps)
        if step < rise:
            return self.lr * (step + 1) / rise
        if self.name == "decay":
            return self.lr / float(10 ** (step // self.every))
        if self.name != "cosine":
            return self.lr * self.factor
        place = (step - rise) / max(1, self.steps - 1 - rise)
        return self.lr * (self.final + (1 - self.final) * (1 + math.cos(math.pi * min(place, 1.0))) / 2)

    def validated(self, score: float | None) -> None:
        """Take note of a validation: the larger the better."""
        if self.name != "plateau" or score is None:
            return
        if score > self.best:
            self.best, self.stale = score, 0
            return
        self.stale += 1
        if self.stale >= _PATIENCE:
            self.factor, self.stale = self.factor / 10, 0

    @property
    def is_over(self) -> bool:
        """Whether the rate fell so low that the run ends before its last step."""
        return self.name == "plateau" and self.lr * self.factor < _LOWEST

    def state(self) -> dict[str, Any]:
        """What `restore` takes."""
        return {"best": None if math.isinf(self.best) else self.best, "stale": self.stale, "factor": self.factor}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue with a former state."""
        self.best = -math.inf if state["best"] is None else state["best"]
        self.stale, self.factor = state["stale"], state["factor"]
