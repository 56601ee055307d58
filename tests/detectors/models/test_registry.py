"""Names of detectors, and what may be set of each."""

import pytest

from detectors.models.registry import names, resolve
from workspace.errors import UsageError


def test_every_name_that_help_lists_is_a_detector():
    for name in names():
        assert resolve(name.replace(":K", ":3")).name == name.replace(":K", ":3")


def test_settings_are_read_as_the_kind_of_their_default():
    spec = resolve(
        "tiny", {"lr": "1e-3", "batch": "32", "micro_batch": "16", "freeze": "true", "start": "none", "clip": 2}
    )
    values = spec.settings
    assert (values["lr"], values["batch"], values["freeze"], values["clip"]) == (1e-3, 32, True, 2.0)
    assert isinstance(values["clip"], float)
    assert resolve("tiny").settings["lr"] != 1e-3


def test_the_study_s_hyper_parameters():
    """App. C of the study: AdamW, 2e-5, 1e-2, batch 512, 52,000 steps; utils.py of its code: warm-up and clip."""
    spec = resolve("cf-vit-s-384")
    values = spec.settings
    assert (values["optimizer"], values["lr"], values["weight_decay"], values["batch"]) == ("adamw", 2e-5, 1e-2, 512)
    assert (values["warmup"], values["final_lr"], values["clip"], spec.steps) == (0.2, 0.001, 1.0, 52_000)
    assert (spec.input.resize, spec.input.crop, values["augmentation"]) == (440, 384, "rsa")
    assert (resolve("cf-vit-s-224").input.resize, resolve("cf-vit-s-224").input.crop) == (256, 224)


def test_a_published_checkpoint_needs_no_steps():
    assert resolve("ufd-linear", {"weights": "fc_weights.pth"}).steps == 0


def test_nearest_neighbours_are_in_the_name():
    assert resolve("ufd-nn:5").settings["k"] == 5
    assert resolve("ufd-nn").settings["k"] == 9


@pytest.mark.parametrize("name", ["", "vit", "ufd-nn:0", "ufd-nn:x", "probe:", "probe", "Tiny", "tiny "])
def test_an_unknown_name_is_one_line_with_the_known_ones(name):
    with pytest.raises(UsageError, match=r"there is no detector .*cf-vit-s-224"):
        resolve(name)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"momentum": "1"}, "--set momentum: tiny has no such setting; it has augment_p"),
        ({"lr": "fast"}, "--set lr=fast: must be a number, such as 0.002"),
        ({"lr": "nan"}, "must be a finite number"),
        ({"lr": "-1"}, "must be above 0"),
        ({"batch": "1.5"}, "must be a whole number"),
        ({"freeze": "maybe"}, "must be true or false"),
        ({"freeze": 1}, "must be true or false"),
        ({"augmentation": "more"}, "must be one of rsa, ufd, soft, flip, crop, none"),
        ({"micro_batch": "24"}, "the batch of 64 must be a multiple of it"),
        ({"micro_batch": "1"}, "it must be even"),
    ],
)
def test_a_wrong_setting_is_one_line_with_what_may_be_set(settings, message):
    with pytest.raises(UsageError, match=message):
        resolve("tiny", settings)
