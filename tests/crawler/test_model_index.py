import subprocess
import sys
from typing import Any

import pytest

from crawler.model_index import NOT_DOWNLOADED, REPLACED, components
from tests.crawler.repositories import SD_INDEX


def test_components_are_pairs_of_library_and_class() -> None:
    found = components(SD_INDEX)
    assert found["unet"] == ("diffusers", "UNet2DConditionModel")
    assert found["safety_checker"] == ("stable_diffusion", "StableDiffusionSafetyChecker")
    # An absent component, a flag and private entries.
    assert not {"image_encoder", "requires_safety_checker", "_class_name", "_diffusers_version"} & found.keys()


def test_a_list_of_numbers_is_a_setting_and_not_a_component() -> None:
    index = {"text_encoder_select_layers": [2, 5, 8], "sample_sigmas": [1.0, 0.5], "unet": ["diffusers", "UNet"]}
    assert components(index) == {"unet": ("diffusers", "UNet")}


@pytest.mark.parametrize("entry", [["diffusers"], [1, "UNet"], ["a", "b", "c"], [None, "UNet"], [["a"], "b"]])
def test_a_list_that_is_not_a_pair_of_texts_is_malformed(entry: Any) -> None:
    with pytest.raises(ValueError, match=r"model_index\.json: 'unet' is not a pair of library and class"):
        components({"unet": entry})


@pytest.mark.parametrize("name", ["../../etc", "a/b", "", "ünet", "x" * 101])
def test_a_component_name_is_a_folder_name(name: str) -> None:
    with pytest.raises(ValueError, match="is not a valid component name"):
        components({name: ["diffusers", "UNet2DModel"]})


def test_what_is_not_downloaded_is_replaced() -> None:
    assert NOT_DOWNLOADED < REPLACED


def test_it_imports_nothing_heavy() -> None:
    script = (
        "import sys, crawler.model_index\n"
        "assert not {'torch', 'diffusers', 'huggingface_hub', 'pyarrow', 'numpy'} & sys.modules.keys(), sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.attack
@pytest.mark.parametrize("pair", [["a" * 101, "UNet2DModel"], ["diffusers", "U" * 101]])
def test_a_name_that_is_longer_than_any_is_malformed(pair: list[str]) -> None:
    with pytest.raises(ValueError, match="more than 100 characters"):
        components({"unet": pair})
