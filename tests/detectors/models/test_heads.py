"""Detectors on frozen backbones: features once, a linear layer or neighbours on them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, Dinov2Config, Dinov2Model, ViTConfig, ViTModel

from detectors.metrics.definitions import Scored
from detectors.models import probe
from detectors.models.backbones import backbone, input_of
from detectors.models.detector import load
from detectors.models.features import features_of
from detectors.models.neighbours import Bank, _largest, normalised
from detectors.options import TrainOptions
from detectors.pixels.inputs import CLIP, IMAGENET, Input
from detectors.pixels.transforms import parse
from detectors.training.stage import trained
from tests.detectors.training.worlds import world
from workspace.errors import UsageError
from workspace.layout import Workspace

SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32, "image_size": 28}


@pytest.fixture(scope="module")
def dino(tmp_path_factory):
    """A small DINOv2 with random weights, in a folder."""
    folder = tmp_path_factory.mktemp("models") / "small-dino"
    torch.manual_seed(0)
    Dinov2Model(Dinov2Config(**SMALL, patch_size=14)).save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def one_process(monkeypatch):
    """Images are decoded by one process: a start of each takes half a second."""
    monkeypatch.setattr("workspace.limited.pool.default_processes", lambda: 1)


@pytest.fixture
def workspace(tmp_path):
    return Workspace.open(tmp_path)


def options(**more):
    return TrainOptions(device="cpu", settings=more)


def test_a_probe_learns_the_spectrum_and_is_loaded_again(workspace):
    index, fold = world()
    run = trained(workspace, index, fold, "probe:spectrum", options())
    assert run.described()["training_images"] == {"real": 36, "generated": 36}
    detector = load(run, "cpu")
    logits = detector.logits_of_rows(index, fold.test)
    labels = index.labels[fold.test]
    assert Scored(labels, logits).auroc()[0] > 0.9


def test_rows_and_images_have_the_same_logits(workspace, dino):
    from detectors.data.images import ImageDecoders

    index, fold = world(each=4)
    run = trained(workspace, index, fold, f"probe:{dino}", options())
    assert run.name.startswith("probe-small-dino-")
    detector = load(run, "cpu")
    with ImageDecoders(1) as decoders:
        images = [image for _, image in decoders.read(index, fold.test)]
    # Kept features are half precision.
    np.testing.assert_allclose(detector.logits(images), detector.logits_of_rows(index, fold.test), atol=0.05)


def test_features_are_computed_once_for_an_image(workspace, dino, monkeypatch):
    index, fold = world(each=4)
    made = backbone(str(dino), device="cpu")
    first = features_of(workspace, index, fold.train, made)
    assert first.dtype == np.float16
    assert first.shape == (len(fold.train), 16)

    class NoImages:
        def __init__(self, *_):
            raise AssertionError("an image is read")

    monkeypatch.setattr("detectors.models.features.ImageDecoders", NoImages)
    again = features_of(workspace, index, fold.train[::-1][:7], backbone(str(dino), device="cpu"))
    assert np.array_equal(again, first[::-1][:7])
    with pytest.raises(AssertionError, match="an image is read"):
        features_of(workspace, index, fold.train[:1], made, parse("jpeg=50")[0])


def test_the_same_image_in_several_rows_has_its_features_in_each(workspace):
    index, _ = world(generators=1, each=2)
    rows = np.array([1, 3, 1, 0, 3])
    found = features_of(workspace, index, rows, backbone("spectrum"))
    assert np.array_equal(found[0], found[2])
    assert np.array_equal(found[1], found[4])
    assert not np.array_equal(found[0], found[3])


def test_an_image_that_does_not_decode_has_no_features_and_no_logit(workspace):
    index, fold = world(each=4, damaged=(0, 14))
    found = features_of(workspace, index, np.arange(3), backbone("spectrum"))
    assert np.isnan(found[0]).all()
    assert not np.isnan(found[1:]).any()
    run = trained(workspace, index, fold, "probe:spectrum", options())
    assert run.described()["skipped"] == 1
    logits = load(run, "cpu").logits_of_rows(index, np.array([14, 15]))
    assert np.isnan(logits).tolist() == [True, False]
    assert set(index.unread) == {0, 14}


def test_another_backbone_has_other_features_under_another_name(workspace, dino, tmp_path):
    other = tmp_path / "small-dino"
    torch.manual_seed(1)
    Dinov2Model(Dinov2Config(**SMALL, patch_size=14)).save_pretrained(other)
    keys = {backbone(str(folder), layer).key for folder in (dino, other) for layer in ("pooled", "mean")}
    assert len(keys) == 4
    assert all("/" not in key for key in keys)


def test_a_run_whose_backbone_was_replaced_is_refused(workspace, dino, tmp_path):
    index, fold = world(each=4)
    folder = tmp_path / "model"
    Dinov2Model.from_pretrained(dino).save_pretrained(folder)
    run = trained(workspace, index, fold, f"probe:{folder}", options())
    torch.manual_seed(5)
    Dinov2Model(Dinov2Config(**SMALL, patch_size=14)).save_pretrained(folder)
    with pytest.raises(UsageError, match=r"its backbone was model@sha256-.*put the former files there"):
        load(run, "cpu").logits([])


def test_neighbours_are_the_mean_of_the_k_nearest_of_each_label(workspace):
    random = np.random.default_rng(0)
    features, labels = random.normal(size=(40, 6)), np.repeat([0, 1], 20)[random.permutation(40)]
    queries = random.normal(size=(9, 6))
    bank = Bank(features.astype(np.float16), labels.astype(np.int8), 3)
    near = normalised(queries) @ normalised(features.astype(np.float16)).T
    expected = [
        np.sort(row[labels == 1])[-3:].mean() - np.sort(row[labels == 0])[-3:].mean() for row in near.astype(np.float64)
    ]
    np.testing.assert_allclose(bank.logits(queries), expected, atol=2e-3)


def test_a_bank_in_blocks_is_the_same_bank(monkeypatch):
    random = np.random.default_rng(0)
    features, labels = random.normal(size=(50, 6)).astype(np.float16), np.repeat([0, 1], [35, 15]).astype(np.int8)
    queries = random.normal(size=(9, 6))
    whole = Bank(features, labels, 5).logits(queries)
    monkeypatch.setattr("detectors.models.neighbours._BLOCK", 4)
    np.testing.assert_allclose(Bank(features, labels, 5).logits(queries), whole, atol=1e-6)


def test_the_largest_of_many_are_the_largest():
    values = np.random.default_rng(0).normal(size=(5, 3000)).astype(np.float32)
    values[0, :40] = 9  # equal ones
    assert np.array_equal(np.sort(_largest(values, 9)), np.sort(values)[:, -9:])
    assert np.array_equal(np.sort(_largest(values[:, :70], 9)), np.sort(values[:, :70])[:, -9:])
    assert _largest(values[:, :4], 9).shape == (5, 4)


def test_fewer_neighbours_than_k_are_all_of_them():
    features = np.eye(4, dtype=np.float16)
    bank = Bank(features, np.array([0, 0, 0, 1], np.int8), 9)
    assert bank.logits(np.eye(4)[3:]).tolist() == [1.0]


def test_ufd_nn_is_a_bank_on_its_backbone(workspace, tmp_path):
    folder = tmp_path / "clip"
    torch.manual_seed(0)
    CLIPVisionModelWithProjection(CLIPVisionConfig(**SMALL, patch_size=14, projection_dim=12)).save_pretrained(folder)
    index, fold = world(each=4)
    run = trained(workspace, index, fold, "ufd-nn:3", options(backbone=str(folder)))
    detector = load(run, "cpu")
    assert detector.logits_of_rows(index, fold.test).shape == (len(fold.test),)
    assert detector.features([np.zeros((30, 30, 3), np.uint8)]).shape == (1, 12)


def test_the_probe_is_scikit_learn_s_on_standardised_features_and_generators_weigh_alike():
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    random = np.random.default_rng(0)
    labels = np.repeat([0, 1], [60, 40]).astype(np.int8)
    generators = np.repeat([-1, 0, 1], [60, 30, 10]).astype(np.int32)
    features = random.normal(size=(100, 5)) * [1, 10, 0.1, 3, 1] + labels[:, None] * random.normal(size=5)
    found = probe.fit(features, labels, generators).logits(features)
    share = np.repeat([0.5 / 60, 0.25 / 30, 0.25 / 10], [60, 30, 10]) * 100
    scaled = StandardScaler().fit_transform(features)
    expected = LogisticRegression(max_iter=2000).fit(scaled, labels, sample_weight=share).decision_function(scaled)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_a_constant_feature_changes_nothing():
    random = np.random.default_rng(0)
    features, labels = random.normal(size=(30, 3)), np.arange(30) % 2
    constant = np.concatenate([features, np.full((30, 1), 7.0)], axis=1)
    generators = np.zeros(30, np.int32)
    logits = [probe.fit(values, labels.astype(np.int8), generators).logits(values) for values in (features, constant)]
    np.testing.assert_allclose(logits[0], logits[1], atol=1e-4)


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ("{}", Input(28, 28)),
        ('{"size": {"shortest_edge": 32}, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}',
         Input(28, 32, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))),
        ('{"size": {"height": 28, "width": 28}}', Input(28, 28)),
        ('{"size": 30}', Input(28, 30)),
    ],
)  # fmt: skip
def test_the_input_is_what_the_preprocessing_states(tmp_path, stated, expected):
    (tmp_path / "preprocessor_config.json").write_text(stated)
    assert input_of(tmp_path, 28) == expected
    assert expected.mean == IMAGENET[0] or expected.mean == (0.5, 0.5, 0.5)


def test_clip_without_preprocessing_has_clip_s_mean(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "clip_vision_model"}')
    assert (input_of(tmp_path, 28).mean, input_of(tmp_path, 28).deviation) == CLIP


@pytest.mark.parametrize("stated", ["[", '{"size": "large"}', '{"image_mean": [1]}', '{"image_std": [0, 0, 0]}'])
def test_odd_preprocessing_is_one_line(tmp_path, stated):
    (tmp_path / "preprocessor_config.json").write_text(stated)
    with pytest.raises(UsageError, match=r"preprocessor_config\.json cannot be used"):
        input_of(tmp_path, 28)


def test_a_model_without_its_pooler_gives_the_class_token(tmp_path):
    """Many published backbones have no pooler: a random one would be noise."""
    folder = tmp_path / "vit"
    torch.manual_seed(0)
    model = ViTModel(ViTConfig(**SMALL, patch_size=14), add_pooling_layer=False)
    model.save_pretrained(folder)
    image = np.random.default_rng(0).integers(0, 256, (28, 28, 3), dtype=np.uint8)
    found = backbone(str(folder), device="cpu").features([image])
    with torch.inference_mode():
        expected = model.eval()(pixel_values=Input(28, 28).tensor([image])).last_hidden_state[:, 0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_folder_that_is_no_backbone_is_one_line(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"nothing")
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(UsageError, match="holds no image backbone of transformers in safetensors"):
        backbone(str(tmp_path), device="cpu").features([np.zeros((9, 9, 3), np.uint8)])
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(UsageError, match=r"has no model\.safetensors"):
        backbone(str(tmp_path))


def test_training_of_one_label_is_one_line(workspace):
    index, fold = world(each=4)
    fold = replace(fold, train=fold.train[index.labels[fold.train] == 1])
    with pytest.raises(UsageError, match="its training has no real images"):
        trained(workspace, index, fold, "probe:spectrum", options())
