"""Cascades, and transformers that CLIP or T5 read for."""

from pathlib import Path
from typing import Any

import pytest

from demo.zoo.diffusion_transformers import hunyuan_dit
from samplers.child.loading import load
from tests.samplers.child.making import assignment
from tests.samplers.coverage import cascades, transformers
from tests.samplers.coverage.checks import check
from tests.samplers.coverage.kind import chosen

KINDS = {**cascades.KINDS, **transformers.KINDS}


@pytest.mark.parametrize("class_name", chosen(KINDS))
def test_a_class_is_listed_loaded_and_sampled(class_name: str, tmp_path: Path) -> None:
    check(class_name, KINDS[class_name], tmp_path)


def test_a_model_with_a_default_in_the_constructor_is_loaded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import transformers

    hunyuan_dit().save_pretrained(tmp_path / "model")
    loads: list[Path] = []
    original = transformers.T5EncoderModel.from_pretrained.__func__

    def counted(cls: Any, folder: Path, *args: Any, **kwargs: Any) -> Any:
        loads.append(folder)
        return original(cls, folder, *args, **kwargs)

    monkeypatch.setattr(transformers.T5EncoderModel, "from_pretrained", classmethod(counted))
    generator = load(assignment(tmp_path / "model", task="text-to-image"), "cpu")
    assert len(loads) == 1
    assert type(generator.pipeline).__name__ == "HunyuanDiTPipeline"
    assert generator.pipeline.text_encoder_2 is not None
