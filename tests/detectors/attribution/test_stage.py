"""cf-detect attribute on a small world of fingerprints, from its command line to the page, and the map."""

import numpy as np
import pytest
from typer.testing import CliRunner

from detectors.attribution.plane import plane
from detectors.attribution.stage import read_attribution
from detectors.commands import attribute as command
from detectors.data.index import Index
from detectors.options import TrainOptions
from detectors.protocols.folds import folds
from detectors.reporting.sections import sections
from detectors.results.table import update_results
from detectors.training.stage import trained
from tests.detectors import fingerprints
from tests.detectors.attribution.test_tables import clusters
from tests.scale import SOAK, scaled
from workspace import command_line
from workspace.layout import Workspace


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return fingerprints.write(fingerprints.world(12, 8, 8, 16), tmp_path_factory.mktemp("small") / "data")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return Workspace.open(tmp_path_factory.mktemp("attribution") / "workspace")


@pytest.fixture(scope="module")
def run(table, workspace):
    index = Index.open([str(table)], workspace)
    return trained(workspace, index, folds(index, "split", 0)[0], "probe:spectrum", TrainOptions(device="cpu"))


def call(*words):
    app = command_line.command_group("test")
    command.register(app)
    return CliRunner().invoke(app, ["attribute", *map(str, words)])


#: UMAP compiles for ten seconds, so there are maps with `make soak` only.
MAP = scaled(0, 100)


@pytest.fixture(scope="module")
def measured(run, table, workspace):
    done = call(run.name[:20], "--data", table, "--workspace", workspace.root, "--device", "cpu", "--map-images", MAP)
    assert done.exit_code == 0, done.output
    return done.output


def test_it_says_what_images_are_taken_for_and_how_often_generators_are_found(measured, run):
    assert "real (known, 32 images): taken for " in measured
    assert "Generators among all: top-1 " in measured
    assert "Generators among their kin: not measured" in measured
    confusion, generators, points = read_attribution(run)
    assert {row.truth for row in confusion} == {"real", "deconvolution", "quantised"}
    assert all(row.known for row in confusion)
    assert sum(row.images for row in confusion) == 32 + 2 * 16
    assert {(row.scope, row.candidates, row.chance_1) for row in generators} == {("all", 2, 0.5)}
    # Half of the images of each are looked up among the other half.
    assert sum(row.images for row in generators) == pytest.approx(16, abs=6)
    assert {point.part for point in points} == ({"train", "test"} if MAP else set())
    assert np.isfinite([(point.x, point.y) for point in points]).all()


def test_its_figures_are_in_the_page(measured, run, workspace):
    (section,) = (one for one in sections(workspace, update_results(workspace)) if one.anchor.startswith("attribution"))
    assert run.name in section.title
    assert "Generators among all: top-1 " in section.note
    assert len(section.figures) == (3 if MAP else 1)


def test_it_says_what_it_would_do_and_refuses_other_data_in_one_line(run, table, workspace):
    said = call(run.name, "--data", table, "--workspace", workspace.root, "--dry-run")
    assert said.output.splitlines() == [f"{run.name}: 64 test images, compared with 107 training images"]
    other = table.with_name("other.csv")
    other.write_text("".join(table.read_text().splitlines(keepends=True)[:60]))
    refused = call(run.name, "--data", other, "--workspace", workspace.root)
    assert refused.exit_code != 0
    assert "was not trained on this data" in str(refused.exception)


@pytest.mark.skipif(not SOAK, reason="UMAP compiles for ten seconds")
def test_the_map_is_the_same_for_the_same_seed_and_keeps_neighbours_together():
    features = clusters([0, 1, 2], 20, 0)
    first = plane(features, 1)
    assert first.shape == (60, 2)
    assert np.array_equal(first, plane(features, 1))
    groups = np.repeat([0, 1, 2], 20)
    centres = np.stack([first[groups == group].mean(axis=0) for group in range(3)])
    nearest = np.linalg.norm(first[:, None] - centres, axis=2).argmin(axis=1)
    assert (nearest == groups).mean() > 0.95
