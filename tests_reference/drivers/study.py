"""`python study.py CODE OUTCOME SCRIPT ARGUMENTS...`: runs train.py or eval.py of the study's code on a CPU.

Replaced from outside: the GPU and NCCL, the download of timm's weights (they are random, by a seed), and wandb, whose
values are written to OUTCOME instead, as JSON: what the code itself would log, in full precision.
"""

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import outside
import timm
import torch


def record_wandb(logged: dict[str, list[Any]]) -> None:
    """A module wandb that appends every value that is logged to those of its name; a table is its rows."""

    def log(values: dict[str, Any], **_: Any) -> None:
        for name, value in values.items():
            logged.setdefault(name, []).append(value)

    nothing = dict.fromkeys(("login", "init", "define_metric", "finish"), lambda *_, **__: None)
    plot = outside.module("wandb.plot", bar=lambda table, *_, **__: table)
    outside.module("wandb", log=log, Table=lambda data, columns: data, plot=plot, **nothing)


def with_random_weights(create: Any) -> Any:
    """timm's `create_model` without a download."""

    def made(name: str, pretrained: bool) -> torch.nn.Module:
        torch.manual_seed(0)
        return create(name, pretrained=False)

    return made


def main() -> None:
    code, outcome, script, *arguments = sys.argv[1:]
    sys.path.insert(0, code)
    outside.without_gpu()
    outside.without_nccl()
    logged: dict[str, list[Any]] = {}
    record_wandb(logged)
    timm.create_model = with_random_weights(timm.create_model)
    import datasets

    # The Hub's service that converts datasets to Parquet: an embedded Hub has none, and this dataset is Parquet.
    datasets.config.USE_PARQUET_EXPORT = False
    sys.argv = [script, *arguments, "--wandb_token", "recorded"]
    runpy.run_path(str(Path(code, script)), run_name="__main__")
    Path(outcome).write_text(json.dumps(logged))


if __name__ == "__main__":
    main()
