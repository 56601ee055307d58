import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samplers.settings_file import KEYS, checked_general, read_settings
from workspace.errors import UsageError

FILE = """
["org/one"]
steps = 20
guidance_scale = 5
negative_prompt = ""

["org/*"]
width = 512
height = 768
scheduler = "DDIMScheduler"
images = 3
"""


def test_a_file_has_a_table_for_each_generator_or_pattern(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(FILE)
    found = read_settings(path)
    assert found == {
        "org/one": {"steps": 20, "guidance_scale": 5.0, "negative_prompt": ""},
        "org/*": {"width": 512, "height": 768, "scheduler": "DDIMScheduler", "images": 3},
    }
    # One type in the recipe, whether the file has 5 or 5.0.
    assert isinstance(found["org/one"]["guidance_scale"], float)
    assert read_settings(str(path)) == read_settings(found) == found
    assert read_settings(None) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[org/one]\nsteps = 2", r"is not TOML: .*a table begins with a name in quotes, \[\"ORG/NAME\"\]"),
        ('["org/one"]\nsteps = ' + "[" * 5000, "is not TOML"),
        ('["org/one"]\nsteps = ' + "9" * 5000, "is not TOML"),
        ("steps = 2", r"steps must be in a table of a generator, \[\"ORG/NAME\"\], or of a pattern such as \[\"\*\"\]"),
        ('["org/one"]\nsetps = 2', r'\["org/one"\] setps: there is no such setting, .*did you mean steps\?'),
        ('["org/one"]\nnum_inference_steps = 2', "there is no such setting, there are steps, guidance_scale, "),
        ('["org/one"]\nsteps = "2"', "steps: must be a whole number, at least 1"),
        ('["org/one"]\nsteps = true', "steps: must be a whole number, at least 1"),
        ('["org/one"]\nsteps = 0', "steps: must be a whole number, at least 1"),
        ('["org/one"]\nimages = 2.0', "images: must be a whole number, at least 1"),
        ('["org/one"]\nwidth = 20000', "width: must be a whole number from 1 to 16,384"),
        ('["org/one"]\nheight = -8', "height: must be a whole number from 1 to 16,384"),
        ('["org/one"]\nguidance_scale = nan', "guidance_scale: must be a number from 0 to 1000"),
        ('["org/one"]\nguidance_scale = "7"', "guidance_scale: must be a number from 0 to 1000"),
        ('["org/one"]\nnegative_prompt = 1', "negative_prompt: must be a text"),
        ('["org/one"]\nscheduler = 1', "scheduler: must be the name of a class of diffusers"),
        ('["org/one"]\nscheduler = "Euler a"', "scheduler: the installed diffusers has no scheduler 'Euler a'"),
        ('["org/one".more]\nsteps = 1', r'\["org/one"\] more: there is no such setting'),
    ],
)
def test_what_is_no_setting_is_an_error_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message) as raised:
        read_settings(path)
    assert str(raised.value).startswith(f"--settings {path}")
    assert "\n" not in str(raised.value)


def test_a_file_that_cannot_be_read_is_an_error_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--settings .*none\.toml: No such file or directory"):
        read_settings(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b'["a/b"]\nsteps = 1 # \xff')
    with pytest.raises(UsageError, match="it is not text"):
        read_settings(tmp_path / "bytes.toml")


PLAIN: st.SearchStrategy[Any] = st.none() | st.booleans() | st.integers() | st.floats() | st.text()


@given(st.dictionaries(st.text(), PLAIN | st.dictionaries(st.sampled_from(KEYS) | st.text(), PLAIN)))
def test_whatever_a_mapping_holds_is_checked(tables: dict[str, Any]) -> None:
    try:
        found = read_settings(tables)
    except UsageError:
        return
    for table in found.values():
        assert table.keys() <= set(KEYS)
        assert all(type(value) in (int, float, str) for value in table.values())
        assert all(math.isfinite(value) for value in table.values() if isinstance(value, float))


def test_general_options_that_are_not_given_are_no_settings() -> None:
    given_ = {"steps": 3, "width": None, "negative_prompt": "", "guidance_scale": 2}
    assert checked_general(given_) == {"steps": 3, "negative_prompt": "", "guidance_scale": 2.0}
