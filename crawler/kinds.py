"""The kind of a repository: checkpoint, LoRA or textual inversion; and whether it is made for software tests."""

import re
from collections.abc import Collection, Iterable

from crawler.model_index import MODEL_INDEX
from crawler.options import Kind

# Tags that only repositories of that kind have.
_TAGS: dict[str, Kind] = {
    "lora": "lora",
    "template:sd-lora": "lora",
    "textual_inversion": "textual-inversion",
    "textual-inversion": "textual-inversion",
}
# The relation to a base model; the Hub makes this tag of `base_model_relation: adapter`, too.
_ADAPTER_TAG = "base_model:adapter:"
#: Names, without suffix, that training scripts give to an adapter's weights.
ADAPTER_FILES: dict[Kind, str] = {"lora": "pytorch_lora_weights", "textual-inversion": "learned_embeds"}
# Other adapters than LoRAs: ControlNets and T2I adapters are components, IP adapters are made for an image.
_COMPONENT = re.compile(r"(?:.*/)?diffusion_pytorch_model\.\w+|(?:.*/)?ip[-_]adapter.*", re.IGNORECASE)

_TEST_OWNERS = frozenset(
    {"diffusers-internal-dev", "fusing", "hf-tiny-model-private", "tiny-random", "onnx-internal-testing"}
)
_TEST_OWNER, _TEST_NAME = (
    re.compile(r"-internal-testing$"),
    re.compile(r"(?:^|[-_.])(?:tiny-random|random-tiny)(?:[-_.]|$)"),
)


def kind_of(tags: Iterable[str], paths: Collection[str] | None = None) -> Kind:
    """The kind by the files, or by the tags where the files do not tell; `paths` None: the files are not known."""
    tagged = list(tags)
    files = paths or ()
    if MODEL_INDEX in files:
        return "checkpoint"
    kind = next((_TAGS[tag] for tag in tagged if tag in _TAGS), None)
    if kind is not None:
        return kind
    for usual, stem in ADAPTER_FILES.items():
        if any(f"{stem}{suffix}" in files for suffix in (".safetensors", ".bin")):
            return usual
    is_adapter = any(tag.startswith(_ADAPTER_TAG) for tag in tagged)
    return "lora" if is_adapter and not any(map(_COMPONENT.fullmatch, files)) else "checkpoint"


def is_test_repository(model_name: str) -> bool:
    """Whether a repository is a tiny model for software tests, by its name or its owner's."""
    owner, _, name = model_name.lower().rpartition("/")
    return owner in _TEST_OWNERS or bool(_TEST_OWNER.search(owner)) or bool(_TEST_NAME.search(name))
