"""UNets: over pixels, over latents, Stable Diffusion and its kin."""

from pathlib import Path

import pytest

from tests.samplers.coverage import latent_unets, pixels, stable_diffusion
from tests.samplers.coverage.checks import check
from tests.samplers.coverage.kind import chosen

KINDS = {**pixels.KINDS, **stable_diffusion.KINDS, **latent_unets.KINDS}


@pytest.mark.parametrize("class_name", chosen(KINDS))
def test_a_class_is_listed_loaded_and_sampled(class_name: str, tmp_path: Path) -> None:
    check(class_name, KINDS[class_name], tmp_path)
