"""Published weights give the same numbers under our names as under theirs.

The functions here are timm's models, written from their description with torch's own functions and timm's names, so
that nothing but the names is shared with what is tested.
"""

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

from detectors.models.networks import published
from detectors.models.networks.building import build, seeded
from detectors.models.registry import resolve
from workspace.errors import UsageError

VIT = resolve("cf-vit-s-224", {"size": "toy"})
CONVNEXT = resolve("cf-convnext-s", {"size": "toy"})
UFD = resolve("ufd-linear", {"size": "toy"})


def random_state(shapes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=generator) * 0.3 for name, shape in shapes.items()}


def vit_state(width=32, layers=2, classes=1):
    shapes = {
        "cls_token": (1, 1, width),
        "pos_embed": (1, 197, width),
        "patch_embed.proj.weight": (width, 3, 16, 16),
        "patch_embed.proj.bias": (width,),
        "norm.weight": (width,),
        "norm.bias": (width,),
        "head.weight": (classes, width),
        "head.bias": (classes,),
    }
    for layer in range(layers):
        for name, shape in {
            "norm1": (width,),
            "norm2": (width,),
            "attn.qkv": (3 * width, width),
            "attn.proj": (width, width),
            "mlp.fc1": (4 * width, width),
            "mlp.fc2": (width, 4 * width),
        }.items():
            shapes |= {f"blocks.{layer}.{name}.weight": shape, f"blocks.{layer}.{name}.bias": shape[:1]}
    return random_state(shapes)


def timm_vit(state, pixels, heads=2):
    """VisionTransformer of timm: class token, pre-norm blocks, exact GELU, epsilon 1e-6, class token to the head."""
    width = state["cls_token"].shape[2]

    def norm(name, x):
        return functional.layer_norm(x, (width,), state[f"{name}.weight"], state[f"{name}.bias"], 1e-6)

    def linear(name, x):
        return functional.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])

    x = functional.conv2d(pixels, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], stride=16)
    x = x.flatten(2).transpose(1, 2)
    x = torch.cat([state["cls_token"].expand(len(x), -1, -1), x], 1) + state["pos_embed"]
    for layer in range(2):
        block = f"blocks.{layer}."
        qkv = linear(f"{block}attn.qkv", norm(f"{block}norm1", x))
        q, k, v = qkv.reshape(len(x), x.shape[1], 3, heads, width // heads).permute(2, 0, 3, 1, 4)
        attention = ((q @ k.transpose(-2, -1)) * (width // heads) ** -0.5).softmax(-1) @ v
        x = x + linear(f"{block}attn.proj", attention.transpose(1, 2).reshape(x.shape))
        x = x + linear(f"{block}mlp.fc2", functional.gelu(linear(f"{block}mlp.fc1", norm(f"{block}norm2", x))))
    return linear("head", norm("norm", x)[:, 0])


def convnext_state():
    shapes = {"stem.0.weight": (8, 3, 4, 4), "stem.0.bias": (8,), "stem.1.weight": (8,), "stem.1.bias": (8,)}
    for stage, width in enumerate((8, 16)):
        block = f"stages.{stage}.blocks.0."
        shapes |= {
            f"{block}gamma": (width,),
            f"{block}conv_dw.weight": (width, 1, 7, 7),
            f"{block}conv_dw.bias": (width,),
            f"{block}norm.weight": (width,),
            f"{block}norm.bias": (width,),
            f"{block}mlp.fc1.weight": (4 * width, width),
            f"{block}mlp.fc1.bias": (4 * width,),
            f"{block}mlp.fc2.weight": (width, 4 * width),
            f"{block}mlp.fc2.bias": (width,),
        }
    shapes |= {"stages.1.downsample.0.weight": (8,), "stages.1.downsample.0.bias": (8,)}
    shapes |= {"stages.1.downsample.1.weight": (16, 8, 2, 2), "stages.1.downsample.1.bias": (16,)}
    shapes |= {"head.norm.weight": (16,), "head.norm.bias": (16,), "head.fc.weight": (1, 16), "head.fc.bias": (1,)}
    return random_state(shapes, seed=1)


def timm_convnext(state, pixels):
    """ConvNeXt of timm: norms over channels with epsilon 1e-6, gamma on the residual, mean, norm, head."""

    def norm(name, x):  # over channels of (n, c, h, w)
        weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        return functional.layer_norm(x.permute(0, 2, 3, 1), weight.shape, weight, bias, 1e-6).permute(0, 3, 1, 2)

    def linear(name, x):
        return functional.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])

    x = norm("stem.1", functional.conv2d(pixels, state["stem.0.weight"], state["stem.0.bias"], stride=4))
    for stage in range(2):
        if stage:
            x = norm("stages.1.downsample.0", x)
            name = "stages.1.downsample.1"
            x = functional.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], stride=2)
        block = f"stages.{stage}.blocks.0."
        y = functional.conv2d(
            x, state[f"{block}conv_dw.weight"], state[f"{block}conv_dw.bias"], padding=3, groups=x.shape[1]
        )
        y = norm(f"{block}norm", y).permute(0, 2, 3, 1)
        y = linear(f"{block}mlp.fc2", functional.gelu(linear(f"{block}mlp.fc1", y))) * state[f"{block}gamma"]
        x = x + y.permute(0, 3, 1, 2)
    pooled = x.mean((2, 3), keepdim=True)
    return linear("head.fc", norm("head.norm", pooled).flatten(1))


@pytest.fixture(scope="module")
def pixels():
    return torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("prefix", ["", "vit.", "module.vit."])
def test_the_study_s_checkpoint_of_timm_s_vit_gives_equal_logits(tmp_path, pixels, prefix):
    state = vit_state()
    save_file({prefix + name: value for name, value in state.items()}, tmp_path / "model.safetensors")
    network = build(VIT, weights=tmp_path / "model.safetensors").eval()
    with torch.inference_mode():
        torch.testing.assert_close(network(pixels), timm_vit(state, pixels).squeeze(1), rtol=1e-4, atol=1e-4)


def test_timm_s_convnext_gives_equal_logits(tmp_path, pixels):
    state = convnext_state()
    torch.save({"model": state}, tmp_path / "model.pth")
    network = build(CONVNEXT, weights=tmp_path / "model.pth").eval()
    with torch.inference_mode():
        torch.testing.assert_close(network(pixels), timm_convnext(state, pixels).squeeze(1), rtol=1e-4, atol=1e-4)


def test_a_network_may_start_from_a_classifier_of_other_classes(tmp_path, pixels):
    state = vit_state(classes=1000)
    save_file(state, tmp_path / "model.safetensors")
    network = build(VIT, start=tmp_path / "model.safetensors").eval()
    with torch.inference_mode():
        features = network.features(pixels)
        theirs = timm_vit(state | {"head.weight": torch.eye(32), "head.bias": torch.zeros(32)}, pixels)
    torch.testing.assert_close(features, theirs, rtol=1e-4, atol=1e-4)
    assert network.head.weight.shape == (1, 32)


def test_a_published_linear_layer_goes_onto_its_backbone(tmp_path, pixels):
    """As UniversalFakeDetect publishes it: a pickle of `weight` and `bias` alone."""
    backbone = seeded(UFD, 7)
    save_file(
        {
            name.removeprefix("backbone.model."): value
            for name, value in backbone.state_dict().items()
            if "head" not in name
        },
        tmp_path / "clip.safetensors",
    )
    layer = random_state({"weight": (1, 24), "bias": (1,)})
    torch.save(layer, tmp_path / "fc_weights.pth")
    network = build(UFD, start=tmp_path / "clip.safetensors", weights=tmp_path / "fc_weights.pth").eval()
    with torch.inference_mode():
        expected = functional.linear(backbone.eval().features(pixels), layer["weight"], layer["bias"]).squeeze(1)
        torch.testing.assert_close(network(pixels), expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("blocks.1.mlp.fc2.bias"), "it lacks backbone.model.layers.1.mlp.fc2.bias and 0 more"),
        (lambda state: state.update(more=torch.zeros(1)), "it also has more and 0 more"),
        (lambda state: state.update({"pos_embed": torch.zeros(1, 50, 32)}), r"is \[1, 50, 32\], not \[1, 197, 32\]"),
    ],
)
def test_weights_load_whole_or_not_at_all(tmp_path, change, message):
    state = vit_state()
    change(state)
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(UsageError, match=f"these are not the weights of this model.*{message}"):
        build(VIT, weights=tmp_path / "model.safetensors")


class Harmful:
    def __reduce__(self):
        return (print, ("executed",))


@pytest.mark.attack
@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".bin"])
def test_a_pickle_that_would_run_code_is_refused(tmp_path, capsys, suffix):
    path = tmp_path / f"model{suffix}"
    torch.save({"weight": Harmful()}, path)
    with pytest.raises(UsageError, match="cannot be read as weights"):
        published.read(path)
    assert "executed" not in capsys.readouterr().out


def test_random_weights_depend_on_nothing_but_the_seed():
    tiny = resolve("tiny")
    before = torch.random.get_rng_state()
    first, again, other = seeded(tiny, 1), seeded(tiny, 1), seeded(tiny, 2)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), again.state_dict().values(), strict=True))
    assert not torch.equal(first.head.weight, other.head.weight)


def test_the_sizes_of_the_networks():
    """Published numbers of parameters, those of the classifiers of 1,000 classes replaced by one logit."""
    with torch.device("meta"):
        counts = {
            name: sum(parameter.numel() for parameter in build(resolve(name)).parameters())
            for name in ("cf-vit-s-224", "cf-convnext-s", "cnnspot", "ufd-linear")
        }
    assert counts == {
        "cf-vit-s-224": 21_666_049,
        "cf-convnext-s": 50_223_688 - 769_000 + 769,
        "cnnspot": 23_510_081,
        "ufd-linear": 303_966_208 + 769,
    }
    assert 10_000 < sum(parameter.numel() for parameter in build(resolve("tiny")).parameters()) < 25_000
