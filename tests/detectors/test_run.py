"""A run is named by its recipe, found again, and finished when its description is there."""

import json
from dataclasses import replace

import pytest
import tomli_w

from detectors.run import Recipe, Run, runs
from workspace.errors import UsageError
from workspace.layout import Workspace

RECIPE = Recipe(
    model="tiny",
    protocol="split",
    fold="all",
    rows="e0",
    data={"ws": "ab" * 32},
    seed=3,
    steps=10,
    settings={"lr": 0.1},
)


@pytest.fixture
def workspace(tmp_path):
    return Workspace.open(tmp_path)


def test_the_same_recipe_is_the_same_folder_and_is_read_back_whole(workspace):
    run = Run.open(workspace, RECIPE)
    again = Run.open(workspace, RECIPE)
    assert again == run
    assert Recipe.read(run.recipe_file) == RECIPE
    assert [found.name for found in runs(workspace)] == [run.name]


@pytest.mark.parametrize(
    "change",
    [
        {"model": "apn"},
        {"protocol": "source"},
        {"fold": "b"},
        {"rows": "e1"},
        {"data": {"ws": "cd" * 32}},
        {"seed": 4},
        {"steps": 11},
        {"settings": {"lr": 0.2}},
        {"settings": {"lr": 0.1, "more": True}},
    ],
)
def test_another_recipe_is_another_folder(workspace, change):
    assert replace(RECIPE, **change).name != RECIPE.name


def test_other_libraries_are_recorded_and_find_the_same_run(workspace):
    older = replace(RECIPE, versions={"torch": "1"})
    run = Run.open(workspace, older)
    assert Run.open(workspace, RECIPE).recipe.versions == {"torch": "1"} == run.recipe.versions


@pytest.mark.parametrize(
    ("model", "begin"),
    [
        ("ufd-nn:9", "ufd-nn-9-"),
        ("probe:org/name", "probe-org--name-"),
        ("probe:/home/me/backbone", "probe-backbone-"),
        ("probe:../backbone", "probe-backbone-"),
    ],
)
def test_the_name_is_one_path_component_and_does_not_say_where_a_folder_lies(model, begin):
    name = replace(RECIPE, model=model).name
    assert name.startswith(begin)
    assert "/" not in name
    assert "home" not in name


def test_a_run_is_found_by_the_beginning_of_its_name(workspace):
    first = Run.open(workspace, RECIPE)
    second = Run.open(workspace, replace(RECIPE, seed=9))
    assert Run.find(workspace, first.name[:-2]) == first
    assert Run.find(workspace, str(second.folder)) == second
    with pytest.raises(UsageError, match=r"2 runs are named tiny: tiny-.* \(split, all\), tiny-"):
        Run.find_folds(workspace, "tiny")
    with pytest.raises(UsageError, match="there is no run apn: there are tiny-"):
        Run.find(workspace, "apn")


def test_the_folds_of_one_detector_are_found_together(workspace):
    folds = [
        Run.open(workspace, replace(RECIPE, model="probe:spectrum", protocol="generator:2", fold=fold, rows=fold))
        for fold in ("1", "2")
    ]
    for name in ("probe", "probe:spectrum", folds[0].recipe.detector):
        assert Run.find_folds(workspace, name) == sorted(folds, key=lambda run: run.name)
    with pytest.raises(UsageError, match="2 runs are named probe"):
        Run.find(workspace, "probe")


def test_a_run_that_did_not_begin_leaves_nothing_and_one_that_did_stays(workspace):
    run = Run.open(workspace, RECIPE)
    run.state.mkdir()
    run.remove_unless_begun()
    assert run.folder.exists()
    run.remove_state()
    run.remove_unless_begun()
    assert not run.folder.exists()


def test_runs_of_studies_and_other_folders_do_not_make_a_short_name_ambiguous(workspace, tmp_path, monkeypatch):
    run = Run.open(workspace, RECIPE)
    of_study = Run.open(workspace, replace(RECIPE, protocol="study of split"))
    (tmp_path / "here" / "tiny").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    assert Run.find(workspace, "tiny") == run
    assert Run.find(workspace, of_study.name) == of_study


def test_a_run_is_finished_when_it_is_described(workspace):
    run = Run.open(workspace, RECIPE)
    assert not run.is_finished
    with pytest.raises(UsageError, match="is not finished: run the `cf-detect train` command"):
        run.described()
    run.finish({"threshold": 0.5})
    assert run.is_finished
    assert run.described() == {"threshold": 0.5}


@pytest.mark.parametrize("content", [b"", b"[", b"\xff", b"model = 3", b"further = 1"])
def test_a_damaged_recipe_is_one_line(workspace, content):
    run = Run.open(workspace, RECIPE)
    run.recipe_file.write_bytes(content)
    with pytest.raises(UsageError, match="is not the recipe of a run"):
        runs(workspace)


@pytest.mark.attack
@pytest.mark.parametrize("change", [{"model": 5}, {"settings": "x"}, {"seed": "x"}, {"seed": True}, {"data": 1.5}])
def test_a_recipe_with_values_of_other_types_is_refused_in_one_line(workspace, change):
    run = Run.open(workspace, RECIPE)
    run.recipe_file.write_bytes(tomli_w.dumps({**RECIPE.as_dict(), **change}).encode())
    with pytest.raises(UsageError, match=r"is not the recipe of a run: TypeError: \w+ is a"):
        Run.find(workspace, run.name)


@pytest.mark.attack
@pytest.mark.parametrize("value", ["x", [1], True, float("nan"), float("inf")])
def test_a_number_that_is_none_is_refused_in_one_line(workspace, value):
    run = Run.open(workspace, RECIPE)
    run.description.write_text(json.dumps({"threshold": value}))
    with pytest.raises(UsageError, match="its threshold is no number"):
        run.number("threshold", 0.0)
    run.description.write_text('{"threshold": null}')
    assert run.number("threshold", 0.5) == 0.5
