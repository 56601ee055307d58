"""What the Hub's tags say of a model's origin."""

from typing import Any

import pytest

from crawler.hub.listing import ListedModel
from crawler.kinds import kind_of
from crawler.lineage import bases_in_tags, bases_of_adapter


@pytest.mark.parametrize("relation", ["", "finetune:", "adapter:", "merge:", "quantized:"])
def test_every_relation_names_the_base(relation: str) -> None:
    tags = ("diffusers", "region:us", f"base_model:{relation}org/base", "license:mit", "dataset:base_model:org/other")
    assert bases_in_tags(tags) == ("org/base",)


def listed(*tags: str, **changes: Any) -> ListedModel:
    values: dict[str, Any] = dict.fromkeys(ListedModel.__dataclass_fields__)
    named = {"model_name": "org/name", "revision": "a" * 40, "downloads": 0, "likes": 0, "disabled": False}
    return ListedModel(**{**values, **named, "tags": tags, "kind": kind_of(tags), **changes})


BASE = ("base_model:org/base",)


@pytest.mark.parametrize(
    ("tags", "bases"),
    [
        # A fine-tune has its own weights: no base is needed to sample it.
        (("diffusers", *BASE, "base_model:finetune:org/base"), ()),
        (("diffusers",), ()),
        # An adapter by its kind, and one by the relation alone.
        (("lora", *BASE), ("org/base",)),
        (("textual_inversion", *BASE), ("org/base",)),
        (("diffusers", *BASE, "base_model:adapter:org/base"), ("org/base",)),
        (("lora", "diffusers"), ()),
    ],
)
def test_only_an_adapter_is_made_for_a_base(tags: tuple[str, ...], bases: tuple[str, ...]) -> None:
    assert bases_of_adapter(listed(*tags)) == bases
