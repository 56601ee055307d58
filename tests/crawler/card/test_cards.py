"""Cards as authors and training scripts write them, and the values that are read in them.

`cards/expected.yaml` has the values that a person reads in each card. 95 % of these must be found, and nothing else.
"""

import ast
import functools
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from crawler.card.licenses import license_of
from crawler.card.model_card import read_card
from crawler.card.snippets import read_usage
from crawler.hyperparameters import hyperparameters_of
from crawler.pipelines.traits import PipelineTraits

CARDS = Path(__file__).parent / "cards"
EXPECTED: dict[str, dict[str, Any]] = yaml.safe_load((CARDS / "expected.yaml").read_text())
CONFIG = {
    "noise": {"scheduler": "PNDMScheduler", "prediction_type": "epsilon", "height": 64, "width": 64},
    "flow": {"scheduler": "FlowMatchEulerDiscreteScheduler", "prediction_type": "flow", "height": 64, "width": 64},
}


@functools.cache
def _sources() -> dict[str, Path]:
    """The file of each pipeline class of the installed diffusers, which takes ten seconds to import."""
    package = importlib.util.find_spec("diffusers")
    assert package is not None
    assert package.origin is not None
    files = Path(package.origin).parent.glob("pipelines/**/pipeline_*.py")
    lines = ((file, line) for file in sorted(files) for line in file.read_text("utf-8").splitlines())
    return {line[6:].partition("(")[0]: file for file, line in lines if line.startswith("class ")}


@functools.cache
def traits(class_name: str) -> PipelineTraits:
    tree = ast.parse(_sources()[class_name].read_text("utf-8"))
    cls = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == class_name)
    call = next(node for node in cls.body if isinstance(node, ast.FunctionDef) and node.name == "__call__")
    parameters = frozenset(argument.arg for argument in call.args.args[1:] + call.args.kwonlyargs)
    return PipelineTraits(class_name, None, False, "image", frozenset(), parameters, {}, (), frozenset())


def read(name: str) -> dict[str, Any]:
    """All values that the crawler reads in a card."""
    row = EXPECTED[name]
    card, pipeline = read_card((CARDS / f"{name}.md").read_bytes()), traits(row["pipeline"])
    usage = read_usage(card.document, row["model"], pipeline.parameters)
    values, sources = hyperparameters_of(pipeline, card, usage, CONFIG[row.get("prediction", "noise")])
    found = {key: value for key, value in vars(values).items() if getattr(sources, key) == "card"}
    for key in found.keys() & {"extra", "scheduler_config"}:
        found[key] = json.loads(found[key])
    found |= {"license": license_of(card.metadata, ()).license, "weight_name": usage.weight_name}
    found["base_models"] = list(card.base_models)
    return {key: value for key, value in found.items() if value not in (None, [])}


def expected(name: str) -> dict[str, Any]:
    """The expected values; the catalogue has no empty texts."""
    row: dict[str, Any] = EXPECTED[name]["found"]
    return {key: value for key, value in row.items() if value not in ("none", "")}


def test_every_card_has_expected_values() -> None:
    assert {path.stem for path in CARDS.glob("*.md")} == set(EXPECTED)
    assert len(EXPECTED) >= 40


@pytest.mark.parametrize("name", EXPECTED)
def test_no_other_value_is_found(name: str) -> None:
    assert read(name).items() <= expected(name).items()


def test_nearly_every_value_is_found() -> None:
    missed = [
        (name, key, value) for name in EXPECTED for key, value in expected(name).items() if read(name).get(key) != value
    ]
    total = sum(len(expected(name)) for name in EXPECTED)
    print(f"{len(EXPECTED)} cards: {total - len(missed)} of {total} values found; missed: {missed}")
    assert len(missed) <= 0.05 * total
