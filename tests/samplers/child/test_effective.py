"""Every row says what was in effect."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from samplers.child.clock import Clock
from samplers.child.component_cache import ComponentCache
from samplers.child.sampling import Sampling
from samplers.sample import Sample
from tests.samplers.child.making import Received, assignment, checker, save_inversion, save_lora, save_stable_diffusion


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return checker(tmp_path_factory.mktemp("checker"))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_stable_diffusion(tmp_path_factory.mktemp("base") / "base")


def _rows(folder: Path, judge: Any, base: Path | None = None, **declared: Any) -> list[Sample]:
    task = declared.pop("task", "text-to-image")
    wanted = assignment(folder, base, task=task, tries=2, **declared)
    received = Received()
    Sampling(wanted, judge, "cpu", Clock(), received, ComponentCache()).run()
    return received.rows


def test_the_rows_of_a_lora_say_what_was_in_effect(judge: Any, base: Path, tmp_path: Path) -> None:
    rows = _rows(
        save_lora(tmp_path / "lora"),
        judge,
        base,
        kind="lora",
        scheduler="LCMScheduler",
        scheduler_config='{"timestep_spacing": "trailing"}',
        prediction_type="epsilon",
        adapter_scale=0.5,
        extra='{"clip_skip": 1, "timesteps": [999, 499, 9]}',
    )
    assert len(rows) == 2
    for row in rows:
        config = json.loads(row.scheduler_config or "")
        assert (row.scheduler, config["timestep_spacing"]) == ("LCMScheduler", "trailing")
        assert (row.prediction_type, row.adapter_scale, row.clip_skip) == ("epsilon", 0.5, 1)
        assert (row.embedding_tokens, row.variant, row.dtype) == (None, None, "float32")
        assert row.num_inference_steps == 3


def test_the_rows_of_a_textual_inversion_have_its_token(judge: Any, base: Path, tmp_path: Path) -> None:
    for row in _rows(save_inversion(tmp_path / "inversion"), judge, base, kind="textual-inversion"):
        assert (row.embedding_tokens, row.adapter_scale, row.clip_skip) == ("<zoo-style>", None, None)
        assert row.prompt is not None
        assert row.prompt.startswith("<zoo-style>, ")
        assert row.scheduler == "PNDMScheduler"


def test_the_rows_of_a_variant_have_it(judge: Any, tmp_path: Path) -> None:
    from demo.zoo.unconditional import ddim

    torch.manual_seed(0)
    ddim().to(torch.float16).save_pretrained(tmp_path / "model", variant="fp16")
    for row in _rows(tmp_path / "model", judge, task="unconditional", variant="fp16"):
        assert (row.variant, row.prediction_type, row.scheduler) == ("fp16", "v_prediction", "DDIMScheduler")
        assert json.loads(row.scheduler_config or "")["prediction_type"] == "v_prediction"
