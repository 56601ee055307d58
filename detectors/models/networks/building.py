"""A detector's network, built by its name in the registry."""

from pathlib import Path

import torch

from detectors.models.networks import published
from detectors.models.networks.network import Network
from detectors.models.registry import ModelSpec


def build(spec: ModelSpec, start: Path | None = None, weights: Path | None = None) -> Network:
    """The network with random weights, drawn from torch's generator; with published ones of its backbone (`start`); or
    with published ones of all of it (`weights`).

    Both are files. Raises `UsageError` for weights that are not this network's.
    """
    network = _built(spec)
    if start is not None:
        published.load_backbone(network.backbone, published.read(start), str(start))
    if weights is not None:
        state = published.read(weights)
        if start is not None and set(ours := published.as_ours(state)) == {"head.weight", "head.bias"}:
            state = ours | {f"backbone.{name}": value for name, value in network.backbone.state_dict().items()}
        published.load_whole(network, state, str(weights))
    return network


def seeded(spec: ModelSpec, seed: int, start: Path | None = None, weights: Path | None = None) -> Network:
    """As `build`, with random weights that depend on nothing but the seed; torch's generator is as before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(spec, start, weights)


def _built(spec: ModelSpec) -> Network:
    from detectors.models.networks import apn, tiny, vision

    toy, frozen = spec.settings.get("size") == "toy", bool(spec.settings.get("freeze"))
    if spec.name == "tiny":
        return Network(tiny.Backbone(), tiny.WIDTH, frozen=frozen)
    if spec.name == "apn":
        hard = bool(spec.settings["apn.hard_masks"])
        return apn.build(spec.input.crop, int(spec.settings["apn.proposals"]), hard, toy)
    if spec.name.startswith("cf-vit-s"):
        backbone, width = vision.vit_s(spec.input.crop, toy)
    elif spec.name == "cf-convnext-s":
        backbone, width = vision.convnext_s(toy)
    elif spec.name == "cnnspot":
        backbone, width = vision.resnet_50(toy)
    elif spec.name == "ufd-linear":
        backbone, width = vision.clip_l(toy)
    else:
        raise AssertionError(f"{spec.name} is no network")
    return Network(backbone, width, frozen=frozen)
