"""The detectors by name: what each is, what it sees, and its hyper-parameters.

    cf-vit-s-224, cf-vit-s-384   the study's ViT-S/16, trained end to end
    cf-convnext-s                ConvNeXt-S, likewise
    ufd-linear                   frozen CLIP ViT-L/14, one linear layer (Ojha et al.)
    ufd-nn, ufd-nn:K             the same features, K nearest neighbours (Ojha et al.)
    cnnspot                      ResNet-50 trained end to end with blur and JPEG (Wang et al.)
    apn                          Artifact Purification Network (Meng et al.)
    probe:ORG/NAME, probe:DIR    a linear probe on any image backbone of transformers
    shortcut                     boosted trees on facts of the file; no pixel
    tiny                         15,000 parameters behind a high-pass filter, for tests and the demo

A hyper-parameter that is set is checked against the kind of its default; one that a model does not have is an error.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from detectors.pixels.inputs import CLIP, Input
from detectors.run import Setting
from workspace.errors import UsageError

#: `network`: trained by steps. `probe`: a linear layer on features that are computed once. `neighbours`: a bank of
#: features. `trees`: on facts of the files.
Kind: TypeAlias = Literal["network", "probe", "neighbours", "trees"]

#: Values of K of Ojha et al., table 3.
_NEIGHBOURS = re.compile(r"ufd-nn(?::([1-9][0-9]{0,3}))?", re.ASCII)
_CLIP = "openai/clip-vit-large-patch14"

#: Of every network. Learning rate and batch are those of the study's end-to-end training.
_NETWORK: Mapping[str, Setting] = {
    "steps": 52_000,
    "batch": 512,
    "micro_batch": 32,  # images of one forward pass; the batch is accumulated
    "optimizer": "adamw",
    "lr": 2e-5,
    "weight_decay": 1e-2,
    "schedule": "cosine",  # cosine, plateau, decay or constant
    "decay_every": 20_000,  # steps between two falls of decay
    "warmup": 0.2,  # part of the steps with a linear rise
    "final_lr": 0.001,  # part of the learning rate at the end of the cosine
    "clip": 1.0,  # largest norm of the gradient; 0: not clipped
    "precision": "auto",  # auto: bf16 on a GPU that has it, else no
    "augmentation": "rsa",
    "augment_p": 0.5,  # probability of blur and of JPEG in the augmentation ufd
    "balance": "generator",  # how generated images are drawn: each generator alike, or each image (images)
    "start": "none",  # weights to start from: none, a file, a folder, or ORG/NAME
    "weights": "",  # a published checkpoint to use instead of training
    "freeze": False,  # train the last layer only
    "size": "full",  # toy: the same kind of network with a few thousand parameters, to try a command
    "validate_every": 500,
    "validation_images": 2000,
}
_CNN: Mapping[str, Setting] = {"optimizer": "adam", "lr": 1e-4, "weight_decay": 0.0, "batch": 64, "clip": 0.0}
_PROBE: Mapping[str, Setting] = {
    "backbone": "",
    "layer": "pooled",  # pooled: the backbone's own summary; mean: the mean of its last positions
    "c": 1.0,  # inverse strength of the L2 penalty of the logistic regression
    "k": 0,  # nearest neighbours instead of a linear layer; 0: a linear layer
    "images": 100_000,  # training images at most
    "precision": "auto",
}
#: Of nearest neighbours: the bank has all training images. 720,000 of 768 numbers take 1.1 GB.
_BANK = 720_000


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """A detector before it is trained."""

    name: str
    kind: Kind
    input: Input
    settings: Mapping[str, Setting]
    """All hyper-parameters, by name."""

    @property
    def steps(self) -> int:
        """Optimiser steps by default; 0 where there are none, or with published weights."""
        return 0 if self.settings.get("weights") else int(self.settings.get("steps", 0))


def names() -> list[str]:
    """The names, as `--help` lists them."""
    return [*_MODELS, "ufd-nn:K", "probe:ORG/NAME"]


def resolve(name: str, settings: Mapping[str, Setting | str] = {}) -> ModelSpec:
    """The detector of this name with these hyper-parameters over its defaults.

    Raises `UsageError` for an unknown name, an unknown hyper-parameter, or a value of another kind.
    """
    spec = _named(name)
    changed = dict(spec.settings)
    for key, value in settings.items():
        if key not in changed:
            raise UsageError(f"--set {key}: {name} has no such setting; it has {', '.join(sorted(changed)) or 'none'}")
        changed[key] = _as(changed[key], value, key)
    _check(changed)
    return replace(spec, settings=changed)


def _named(name: str) -> ModelSpec:
    if name in _MODELS:
        return _MODELS[name]
    if match := _NEIGHBOURS.fullmatch(name):
        return _spec(
            name, "neighbours", _UFD_INPUT, {**_PROBE, "backbone": _CLIP, "k": int(match[1] or 9), "images": _BANK}
        )
    kind, colon, backbone = name.partition(":")
    if kind == "probe" and colon and backbone:
        # The input is the backbone's own, which its files tell (`backbones`).
        return _spec(name, "probe", Input(224, 224), {**_PROBE, "backbone": backbone})
    raise UsageError(f"there is no detector {name}: name one of {', '.join(names())}")


def _spec(name: str, kind: Kind, sees: Input, settings: Mapping[str, Setting]) -> ModelSpec:
    return ModelSpec(name=name, kind=kind, input=sees, settings=settings)


def _as(default: Setting, value: Setting | str, key: str) -> Setting:
    """A value as the kind of its default; `--set` gives text."""
    kind = type(default)
    if isinstance(value, str) and kind is not str:
        text = value.strip().lower()
        try:
            if kind is bool:
                return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[text]
            return kind(text)
        except (ValueError, KeyError):
            raise UsageError(f"--set {key}={value}: must be {_KINDS[kind]}, such as {default}") from None
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise UsageError(f"--set {key}={value}: must be {_KINDS[kind]}, such as {default}")
    return value


_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "optimizer": ("adamw", "adam"),
    "schedule": ("cosine", "plateau", "decay", "constant"),
    "precision": ("auto", "no", "bf16", "fp16"),
    "augmentation": ("rsa", "ufd", "soft", "flip", "crop", "none"),
    "balance": ("generator", "images"),
    "layer": ("pooled", "mean"),
    "size": ("full", "toy"),
}
_POSITIVE = ("steps", "batch", "decay_every", "micro_batch", "validate_every", "validation_images", "images", "c", "lr")


def _check(settings: Mapping[str, Setting]) -> None:
    for key, value in settings.items():
        if isinstance(value, float) and not abs(value) < float("inf"):
            raise UsageError(f"--set {key}={value}: must be a finite number")
        if key in _CHOICES and value not in _CHOICES[key]:
            raise UsageError(f"--set {key}={value}: must be one of {', '.join(_CHOICES[key])}")
        if key in _POSITIVE and isinstance(value, int | float) and value <= 0:
            raise UsageError(f"--set {key}={value}: must be above 0")
    batch, micro = settings.get("batch"), settings.get("micro_batch")
    if isinstance(batch, int) and isinstance(micro, int) and (batch % min(micro, batch) or min(micro, batch) % 2):
        raise UsageError(
            f"--set micro_batch={micro}: the batch of {batch} must be a multiple of it, and it must be even, because "
            "half of it are real images"
        )


_UFD_INPUT = Input(224, None, *CLIP)
_MODELS: Mapping[str, ModelSpec] = {
    "cf-vit-s-224": _spec(
        "cf-vit-s-224",
        "network",
        Input(224, 256),
        {**_NETWORK, "start": "timm/vit_small_patch16_224.augreg_in21k_ft_in1k"},
    ),
    "cf-vit-s-384": _spec(
        "cf-vit-s-384",
        "network",
        Input(384, 440),
        {**_NETWORK, "start": "timm/vit_small_patch16_384.augreg_in21k_ft_in1k"},
    ),
    "cf-convnext-s": _spec(
        "cf-convnext-s", "network", Input(224, 256), {**_NETWORK, "start": "timm/convnext_small.fb_in22k_ft_in1k"}
    ),
    "ufd-linear": _spec(
        "ufd-linear",
        "network",
        _UFD_INPUT,
        {
            **_NETWORK,
            "start": _CLIP,
            "freeze": True,
            "lr": 1e-4,
            "batch": 256,
            "schedule": "plateau",
            "warmup": 0.0,
            "clip": 0.0,
            "augmentation": "ufd",
        },
    ),
    "ufd-nn": _spec("ufd-nn", "neighbours", _UFD_INPUT, {**_PROBE, "backbone": _CLIP, "k": 9, "images": _BANK}),
    "cnnspot": _spec(
        "cnnspot",
        "network",
        Input(224, None),
        {
            **_NETWORK,
            **_CNN,
            "start": "microsoft/resnet-50",
            "schedule": "plateau",
            "warmup": 0.0,
            "augmentation": "ufd",
        },
    ),
    "apn": _spec(
        "apn",
        "network",
        Input(224, None),
        {
            **_NETWORK,
            **_CNN,
            "batch": 32,
            "schedule": "decay",
            "warmup": 0.0,
            "augmentation": "crop",
            "apn.proposals": 15,
            "apn.hard_masks": False,
        },
    ),
    "shortcut": _spec("shortcut", "trees", Input(1), {}),
    "tiny": _spec(
        "tiny",
        "network",
        Input(56, None),
        {
            **_NETWORK,
            "steps": 600,
            "batch": 64,
            "lr": 2e-3,
            "augmentation": "flip",
            "validate_every": 200,
            "validation_images": 500,
        },
    ),
}
