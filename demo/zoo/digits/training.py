"""Train one of the three generators of digits again, on a CPU: `python -m demo.zoo.digits.training NAME`.

The committed weights were trained with the defaults on one busy core. 300 images each, made with the settings of the
cards, were classified by a support vector machine that is right for 98.9 % of the test scans:

    NAME         steps  CPU time  weights  result
    if-digits    1,200  424 s     2.9 MB   300 of 300 images show the digit of the prompt
    ddpm-digits  2,400  345 s     2.8 MB   all ten digits; as near to the training scans as the test scans are
    dit-digits   3,000  266 s     3.3 MB   300 of 300 images show the digit of the class

The weights are written to `repositories/NAME/`; the card is kept. Another machine or another version of PyTorch gives
other weights; `tests/demo/test_digits.py` checks whether they are as good.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from demo.zoo.digits import REPOSITORIES, class_conditional, text_conditional, unconditional

TRAINERS: dict[str, Any] = {
    "if-digits": text_conditional.train,
    "ddpm-digits": unconditional.train,
    "dit-digits": class_conditional.train,
}
"""For each of `REPOSITORIES` the function that trains it and returns the pipeline."""


def main() -> None:
    """Train the generator that the command line names and write its weights."""
    parser = argparse.ArgumentParser(
        prog="python -m demo.zoo.digits.training", description="Train a generator of digits."
    )
    parser.add_argument("name", choices=sorted(TRAINERS), help="the generator")
    parser.add_argument("--steps", type=int, help="number of optimiser steps, for a shorter training")
    parser.add_argument("--into", type=Path, help="folder to write to (default: the folder of the committed weights)")
    arguments = parser.parse_args()

    torch.set_num_threads(1)  # models this small are slower on several cores
    torch.manual_seed(0)
    started = time.process_time()
    pipeline = TRAINERS[arguments.name](**({"steps": arguments.steps} if arguments.steps else {}))
    into = arguments.into or REPOSITORIES / arguments.name
    save(pipeline, into)
    print(f"{arguments.name}: trained in {time.process_time() - started:.0f} CPU s, written to {into}")


def save(pipeline: Any, into: Path) -> None:
    """Write `pipeline` to the folder `into` as a repository; replaces all files except the card."""
    with tempfile.TemporaryDirectory() as fresh:
        pipeline.save_pretrained(fresh, safe_serialization=True)
        card = into / "README.md"
        if card.exists():
            shutil.copy(card, fresh)
        shutil.rmtree(into, ignore_errors=True)
        shutil.copytree(fresh, into)


if __name__ == "__main__":
    main()
