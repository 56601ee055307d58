"""Training of a denoiser: add noise of a random strength to a clean image and predict the noise (Ho et al. 2020).

The three generators differ in what they denoise and in their conditions; they share this loop.
"""

import math
import time
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

_WARMUP = 100  # steps until the learning rate is reached; Adam's first estimates are noisy
_REPORT_EVERY = 100  # steps


def teach(
    predict: Callable[[Tensor, Tensor, Tensor], Tensor],
    parameters: Iterable[nn.Parameter],
    clean: Tensor,
    scheduler: Any,
    *,
    steps: int,
    batch: int = 64,
    learning_rate: float = 1e-3,
) -> None:
    """Minimise the error of `predict` over `parameters`, in place.

    `clean`: all training images, (n, channels, height, width), of unit scale. `predict(noisy, timesteps, rows)` gets
    `batch` of them with noise of strength `timesteps` added, and their rows in `clean`; it returns the prediction of
    type `scheduler.config.prediction_type`, in the shape of `noisy`.
    """
    optimizer = Adam(parameters, learning_rate, steps)
    started = time.process_time()
    for step in range(steps):
        rows = torch.randint(len(clean), (batch,))
        timesteps = torch.randint(scheduler.config.num_train_timesteps, (batch,))
        noise = torch.randn(batch, *clean.shape[1:])
        noisy = scheduler.add_noise(clean[rows], noise, timesteps)
        wanted = noise
        if scheduler.config.prediction_type == "v_prediction":
            wanted = scheduler.get_velocity(clean[rows], noise, timesteps)
        loss = nn.functional.mse_loss(predict(noisy, timesteps, rows), wanted)
        optimizer.step(loss)
        if step % _REPORT_EVERY == _REPORT_EVERY - 1:
            print(
                f"step {step + 1} of {steps}: error {loss.item():.3f}, {time.process_time() - started:.0f} CPU s",
                flush=True,
            )


class Adam:
    """AdamW with a warm-up of the learning rate, which then falls to zero as a half cosine."""

    def __init__(self, parameters: Iterable[nn.Parameter], learning_rate: float, steps: int) -> None:
        self._parameters = list(parameters)
        self._optimizer = torch.optim.AdamW(self._parameters, lr=learning_rate, betas=(0.9, 0.99), weight_decay=1e-4)
        self._schedule = torch.optim.lr_scheduler.LambdaLR(
            self._optimizer,
            lambda step: min(1.0, (step + 1) / _WARMUP) * (1 + math.cos(math.pi * min(1.0, step / steps))) / 2,
        )

    def step(self, loss: Tensor) -> None:
        """One step along the gradient of `loss`."""
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self._parameters, 1.0)
        self._optimizer.step()
        self._schedule.step()
