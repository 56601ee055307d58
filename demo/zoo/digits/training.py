"""Train one of the three generators of digits anew, on a CPU: `python -m demo.zoo.digits.training NAME`.

What is committed was trained with the defaults on one busy core. 300 images each, made with the settings of the cards,
were read by a support vector machine that reads 98.9 % of the held-out scans:

    NAME         steps  CPU time  weights  reached
    if-digits    1,200  424 s     2.9 MB   300 of 300 prompted digits are the one asked for
    ddpm-digits  2,400  345 s     2.8 MB   all ten digits; as near to the scans as held-out ones are
    dit-digits   3,000  266 s     3.3 MB   300 of 300 are of the class asked for

The weights are written where they are committed, `repositories/NAME/`, beside the card, which is kept. Another machine
or another version of PyTorch gives other weights of the same kind; `tests/demo/test_digits.py` says whether they are as
good.
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
"""What trains each of `REPOSITORIES`: a function that returns the finished pipeline."""


def main() -> None:
    """Train the generator named on the command line and put its weights in place."""
    parser = argparse.ArgumentParser(
        prog="python -m demo.zoo.digits.training", description="Train a generator of digits."
    )
    parser.add_argument("name", choices=sorted(TRAINERS), help="which one")
    parser.add_argument("--steps", type=int, help="optimiser steps, where the default is too long to wait for")
    parser.add_argument("--into", type=Path, help="folder to write to (default: where its committed weights are)")
    asked = parser.parse_args()

    torch.set_num_threads(1)  # models this small are slower on several cores
    torch.manual_seed(0)
    started = time.process_time()
    pipeline = TRAINERS[asked.name](**({"steps": asked.steps} if asked.steps else {}))
    into = asked.into or REPOSITORIES / asked.name
    save(pipeline, into)
    print(f"{asked.name}: trained in {time.process_time() - started:.0f} CPU s, written to {into}")


def save(pipeline: Any, into: Path) -> None:
    """Write `pipeline` to the folder `into` as a repository, replacing what is there except the card."""
    with tempfile.TemporaryDirectory() as fresh:
        pipeline.save_pretrained(fresh, safe_serialization=True)
        card = into / "README.md"
        if card.exists():
            shutil.copy(card, fresh)
        shutil.rmtree(into, ignore_errors=True)
        shutil.copytree(fresh, into)


if __name__ == "__main__":
    main()
