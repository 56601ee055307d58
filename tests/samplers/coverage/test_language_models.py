"""Transformers that a language model reads for; and that nothing is missing."""

from pathlib import Path

import pytest

from crawler.pipelines.packages import package_folder
from crawler.pipelines.source_code import public_names
from crawler.pipelines.traits import describe
from tests.samplers.coverage import (
    cascades,
    language_models,
    latent_unets,
    pixels,
    prx,
    qwen,
    stable_diffusion,
    transformers,
)
from tests.samplers.coverage.checks import check
from tests.samplers.coverage.kind import REPRESENTATIVES, chosen
from tests.samplers.coverage.not_sampled import NOT_SAMPLED

FAMILIES = (cascades, language_models, latent_unets, pixels, prx, qwen, stable_diffusion, transformers)
KINDS = {**language_models.KINDS, **prx.KINDS, **qwen.KINDS}


@pytest.mark.parametrize("class_name", chosen(KINDS))
def test_a_class_is_listed_loaded_and_sampled(class_name: str, tmp_path: Path) -> None:
    check(class_name, KINDS[class_name], tmp_path)


@pytest.mark.parametrize("class_name", sorted(NOT_SAMPLED))
def test_a_class_listed_as_not_sampled_cannot_be_sampled(class_name: str, tmp_path: Path) -> None:
    with pytest.raises(Exception, match=NOT_SAMPLED[class_name].error):
        NOT_SAMPLED[class_name].attempt(tmp_path)


def test_every_class_that_makes_images_is_sampled_once_or_listed_with_its_reason() -> None:
    diffusers = package_folder("diffusers")
    assert diffusers is not None
    # Those of ONNX files are refused by their names, and are there only where onnxruntime is installed.
    described = [describe(name) for name in public_names(diffusers) if "Pipeline" in name and "Onnx" not in name]
    generators = {traits.class_name for traits in described if traits is not None and traits.task is not None}
    sampled = [name for family in FAMILIES for name in family.KINDS]
    assert len(sampled) == len(set(sampled)) >= 65
    assert set(REPRESENTATIVES) <= set(sampled)
    assert not set(sampled) & NOT_SAMPLED.keys()
    assert generators - set(sampled) - NOT_SAMPLED.keys() == set(), "neither sampled nor listed"
    assert {*sampled, *NOT_SAMPLED} - generators == set(), "no generators of the installed diffusers"
