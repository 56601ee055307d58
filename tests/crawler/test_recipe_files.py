from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from crawler.catalog import CatalogEntry
from crawler.recipe_files import read_recipes, row_of
from tests.fuzzing import fuzzed
from workspace import records
from workspace.errors import UsageError

WHOLE: dict[str, Any] = {
    "kind": "program",
    "study": "BigNet",
    "architecture": "GAN",
    "task": "class-conditional",
    "license": "mit",
    "link": "https://example.org/bignet",
    "trained_on": "ImageNet",
    "weights": "https://example.org/weights",
    "steps": 2,
    "extra": {"truncation": 0.5},
    "program": {"format": "onnx"},
}


def _written(folder: Path, tables: dict[str, Any]) -> Path:
    (folder / "g.toml").write_text(tomli_w.dumps(tables))
    return folder / "g.toml"


def test_a_table_says_what_a_generator_is_and_its_kinds_table_how_its_images_are_made(tmp_path: Path) -> None:
    remote = {"kind": "remote", "subset": "Commercial", "architecture": "Commercial", "task": "text-to-image"}
    first, second = read_recipes(_written(tmp_path, {"manual/bignet": WHOLE, "acme/painter": remote}))
    assert (first.name, first.kind, first.subset, first.study) == ("manual/bignet", "program", "Manual", "BigNet")
    assert first.how == {"format": "onnx"}
    assert first.settings == {"num_inference_steps": 2, "extra": '{"truncation": 0.5}'}
    assert (second.subset, second.architecture, second.how, second.folder) == ("Commercial", "Commercial", {}, tmp_path)


def test_its_row_has_what_the_table_says_and_the_user_as_source(tmp_path: Path) -> None:
    (recipe,) = read_recipes(_written(tmp_path, {"manual/bignet": WHOLE}))
    row = row_of(recipe, revision="a" * 64, download_bytes=7)
    assert (row.model_name, row.subset, row.architecture, row.task) == (
        "manual/bignet",
        "Manual",
        "GAN",
        "class-conditional",
    )
    assert (row.license, row.license_source, row.license_family) == ("MIT", "user", "open")
    assert (row.trained_on, row.link, row.download_bytes) == ("ImageNet", "https://example.org/bignet", 7)
    assert row.hyperparameters.num_inference_steps == 2
    assert (row.hyperparameter_sources.num_inference_steps, row.hyperparameter_sources.height) == ("user", None)
    records.write(tmp_path / "c.parquet", CatalogEntry, [row])
    assert records.read(tmp_path / "c.parquet", CatalogEntry) == [row]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": None}, r'\["manual/bignet"\]: needs kind, one of program, import, remote'),
        ({"kind": "hub"}, "kind must be one of program, import, remote"),
        ({"architecture": None}, "needs architecture, one of LatDiff, PixDiff, GAN, Other, Commercial"),
        ({"task": ["unconditional"]}, "task must be one of text-to-image, class-conditional, unconditional"),
        ({"licence": "mit"}, "there is no licence; did you mean license"),
        ({"link": "example.org"}, "link must be an address, https://"),
        ({"base_model": "x y"}, "base_model must be ORG/NAME"),
        ({"steps": 0}, "steps = 0 is no value"),
        ({"scheduler": "DDIM"}, "there is no scheduler"),
        ({"kind": "remote"}, "there is no program"),
        ({"program": "x"}, r'program must be a table, \["manual/bignet".program\]'),
        ({"trained_on": 3}, "trained_on must be a text"),
    ],
)
def test_what_is_wrong_is_said_with_the_table(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    table = {key: value for key, value in (WHOLE | changes).items() if value is not None}
    with pytest.raises(UsageError, match=message):
        read_recipes(_written(tmp_path, {"manual/bignet": table}))


def test_a_file_that_is_none_a_name_without_an_organization_and_an_empty_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_recipes(tmp_path / "absent.toml")
    (tmp_path / "bad.toml").write_text("[manual/x]")
    with pytest.raises(UsageError, match=r"is not TOML.*a name in quotes"):
        read_recipes(tmp_path / "bad.toml")
    with pytest.raises(UsageError, match="the name of a generator must be ORG/NAME"):
        read_recipes(_written(tmp_path, {"bignet": WHOLE}))
    with pytest.raises(UsageError, match="must be a table"):
        read_recipes(_written(tmp_path, {"manual/bignet": 1}))
    with pytest.raises(UsageError, match="has no table"):
        read_recipes(_written(tmp_path, {}))


_VALUES = st.recursive(
    st.text(max_size=8) | st.integers() | st.booleans() | st.floats(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@fuzzed(60)
@given(changes=st.dictionaries(st.sampled_from([*WHOLE, "subset", "base_model", "zzz"]), _VALUES, max_size=3))
def test_any_toml_is_read_or_refused_in_one_line(tmp_path: Path, changes: dict[str, Any]) -> None:
    refusal = ""
    try:
        read_recipes(_written(tmp_path, {"manual/bignet": WHOLE | changes}))
    except UsageError as error:
        refusal = str(error)
    assert "\n" not in refusal
