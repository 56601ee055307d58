import json
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.hub.from_file import read_names
from crawler.local_generator import Config, LocalGenerator, from_tables, is_path, unnamed
from workspace.errors import UsageError
from workspace.repo_id import is_repo_id

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def _only(text: str, folder: Path = Path("/here")) -> LocalGenerator:
    (generator,) = from_tables(tomllib.loads(text), folder)[1]
    return generator


def test_a_table_says_all_of_a_checkpoint_in_one_file() -> None:
    generator = _only(f"""
        ["me/mix"]
        path = "checkpoints/mix v2.safetensors"
        config = "org/base@{COMMIT}"
        license = "other"
        license_name = "my licence"
        license_link = "https://example.org/licence"
        link = "https://civitai.com/models/1?modelVersionId=2"
        steps = 30
        guidance_scale = 7
        width = 512
        height = 768
        negative_prompt = "blurry"
        trigger_words = "in my style"
        scheduler = "DPM++ 2M Karras"
        prediction_type = "v_prediction"
        extra = {{ clip_skip = 2 }}
        """)
    assert generator == LocalGenerator(
        name="me/mix",
        path=Path("/here/checkpoints/mix v2.safetensors"),
        config=Config("org/base", COMMIT),
        license="other",
        license_name="my licence",
        license_link="https://example.org/licence",
        link="https://civitai.com/models/1?modelVersionId=2",
        settings={
            "num_inference_steps": 30,
            "guidance_scale": 7.0,
            "width": 512,
            "height": 768,
            "negative_prompt": "blurry",
            "trigger_words": "in my style",
            "scheduler": "DPMSolverMultistepScheduler",
            "scheduler_config": json.dumps({"use_karras_sigmas": True}),
            "prediction_type": "v_prediction",
            "extra": json.dumps({"clip_skip": 2}),
        },
    )


def test_models_of_the_hub_and_paths_stand_beside_tables(tmp_path: Path) -> None:
    (tmp_path / "g.toml").write_text("""
        models = ["a/a", "./folder", "https://huggingface.co/b/b", "no model", "x.safetensors"]
        ["c/c"]
        ["me/d"]
        path = "d"
        base_model = "a/a"
        """)
    found = read_names(tmp_path / "g.toml")
    assert found.names == ("a/a", "b/b", "c/c")
    assert [(one.name, one.path, one.base_model) for one in found.local] == [
        ("local/folder", tmp_path / "folder", None),
        ("local/x", tmp_path / "x.safetensors", None),
        ("me/d", tmp_path / "d", "a/a"),
    ]
    assert found.bad_lines == ("line 4: 'no model' is not a repository id (ORG/NAME)",)
    assert found.all_names == ("a/a", "b/b", "c/c", "local/folder", "local/x", "me/d")


def test_lines_of_a_list_may_be_paths(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("a/a\n./b\n/c/d.safetensors\ne/f.safetensors\n~root/g\n")
    found = read_names(tmp_path / "list")
    assert found.names == ("a/a",)
    assert [one.name for one in found.local] == ["local/b", "local/d", "local/f", "local/g"]
    assert [one.path for one in found.local][:3] == [
        tmp_path / "b",
        Path("/c/d.safetensors"),
        tmp_path / "e" / "f.safetensors",
    ]


def test_a_folder_or_a_file_in_the_place_of_the_list_is_the_only_generator(tmp_path: Path) -> None:
    assert [one.path for one in read_names(tmp_path).local] == [tmp_path]
    assert [one.name for one in read_names(tmp_path / "my mix (1).safetensors").local] == ["local/my-mix-1"]


def test_a_configuration_may_be_a_folder_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "configs" / "sd1").mkdir(parents=True)
    table = '["me/x"]\npath = "x.safetensors"\nconfig = '
    for text in ("configs/sd1", "./configs/sd1", str(tmp_path / "configs" / "sd1")):
        config = _only(f"{table}{text!r}", tmp_path).config
        assert config == Config("local/sd1", folder=tmp_path / "configs" / "sd1")
    assert _only(f"{table}'configs/other'", tmp_path).config == Config("configs/other")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('[name]\npath = "x"', '["name"]: the name of a generator must be ORG/NAME, in quotes'),
        ('name = "a/a"', 'name: must be a table ["ORG/NAME"], or models = ["ORG/NAME", ...]'),
        ("models = [1]", "models: must be a table"),
        ('["a/a"]\nsteps = 3', '["a/a"]: has no path; what is said of a generator is for those with one'),
        ('["a/a"]\npath = ""', '["a/a"]: path must be a text of 1 to 5,000 characters'),
        ('["a/a"]\npath = 3', '["a/a"]: path must be a text'),
        ('["a/a"]\npath = "x"\nstep = 3', '["a/a"]: there is no step; did you mean steps?'),
        ('["a/a"]\npath = "x"\nsteps = "3"', "steps = '3' is no value that a pipeline takes"),
        ('["a/a"]\npath = "x"\nsteps = 0', "steps = 0 is no value"),
        ('["a/a"]\npath = "x"\nwidth = 99999', "width = 99999 is no value"),
        ('["a/a"]\npath = "x"\nscheduler = "fastest"', "scheduler must be a class of diffusers, or what web UIs call"),
        ('["a/a"]\npath = "x"\nprediction_type = "v"', "prediction_type must be one of epsilon, v_prediction"),
        ('["a/a"]\npath = "x"\nscheduler_config = "karras"', "scheduler_config must be a table of the scheduler's"),
        ('["a/a"]\npath = "x"\nlink = "civitai"', "link must be an address, https://..."),
        ('["a/a"]\npath = "x"\nlicense_link = "javascript:x"', "license_link must be an address"),
        ('["a/a"]\npath = "x"\nbase_model = "a b"', "base_model must be ORG/NAME"),
        ('["a/a"]\npath = "x"\nconfig = "a/b"', "a folder has its own configuration; remove config"),
        ('["a/a"]\npath = "x.safetensors"\nbase_model = "a/b"', "the base model of a file is that of its config"),
        ('["a/a"]\npath = "x.safetensors"\nconfig = "a b"', "config must be ORG/NAME@COMMIT of the Hub, or a folder"),
        ('["a/a"]\npath = "x"\nextra = { generator = 3 }', "extra must be a table of the call's further arguments"),
        ('["a/a"]\npath = "x"\nextra = { width = 3 }', "extra must be a table"),
        ('["a/a"]\npath = "x"\nextra = { a = { b = 3 } }', "extra must be a table"),
        ('["a/a"]\npath = "x\n', "is not TOML"),
        ('["a/a"]\npath = "x"\n["a/a"]\npath = "y"', "is not TOML"),
        ('models = ["x/y.safetensors", "z/y.safetensors"]', "are both named local/y: name them in a TOML file"),
        ('models = ["me/a"]\n["me/a"]\npath = "x"', "me/a is on the Hub and at"),
        ('models = ["/"]', "it cannot be named by its file: name it in a TOML file"),
        ("", "contains no repository id"),
    ],
)
def test_what_is_wrong_in_a_file_is_said_in_one_line(tmp_path: Path, table: str, message: str) -> None:
    (tmp_path / "g.toml").write_text(table)
    with pytest.raises(UsageError) as caught:
        read_names(tmp_path / "g.toml")
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"--from {tmp_path / 'g.toml'}")
    assert "\n" not in str(caught.value)


_VALUES: Any = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["a/a", "models", "x"]), _VALUES, max_size=2), st.data())
def test_no_table_ends_in_a_traceback(tables: dict[str, Any], data: st.DataObject) -> None:
    keys = st.sampled_from(
        ["config", "license", "link", "steps", "scheduler", "extra", "width", "prediction_type", "?"]
    )
    tables["me/x"] = {"path": "x.safetensors", **data.draw(st.dictionaries(keys, _VALUES, max_size=3))}
    with suppress(UsageError):
        from_tables(tables, Path("/here"))


@given(st.text(max_size=60))
def test_each_file_gets_a_name_that_can_be_a_folder_or_is_refused(name: str) -> None:
    try:
        generator = unnamed(f"/data/{name}.safetensors", Path())
    except UsageError:
        return
    assert is_repo_id(generator.name)


@pytest.mark.parametrize(("text", "answer"), [("a/b", False), ("b", False), ("/a", True), ("a/b.CKPT", True)])
def test_what_is_a_path_and_what_a_repository(text: str, answer: bool) -> None:
    assert is_path(text) is answer
