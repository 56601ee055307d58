import re

import pytest
import yaml
from huggingface_hub import DatasetCard
from hypothesis import given
from hypothesis import strategies as st

from manifests.building import build
from manifests.card import size_category, words, write_card
from manifests.packing import plan_shards, shard_schema
from tests.manifests.making import Builder


def card_of(builder: Builder) -> str:
    workspace = builder.write()
    build(workspace)
    return write_card("org/data", workspace, plan_shards(workspace, 1 << 30), 3)


def test_the_front_matter_says_which_files_are_which_split(filled: Builder) -> None:
    matter = DatasetCard(card_of(filled)).data.to_dict()
    default, generators, real = matter["configs"]
    assert default["default"]
    assert [item["split"] for item in default["data_files"]] == ["Manual", "Real", "Systematic"]
    assert default["data_files"][2]["path"] == "data/Systematic-*.parquet"
    assert (generators["config_name"], real["config_name"]) == ("generators", "real_images")
    assert matter["size_categories"] == ["n<1K"]
    assert matter["license"] == "other"


def test_the_card_has_this_datasets_numbers(filled: Builder) -> None:
    card = card_of(filled)
    assert "22 images of 3 generators" in card
    assert (
        "Of 5 generators that were looked at, 3 gave images. Rejected tries: 1 nsfw, 0 blank, 1 nan, 1 duplicate."
        in card
    )
    assert re.search(r"\| `Systematic` \| 18 \| 0\.0 \|", card)
    assert "| creativeml-openrail-m | 2 | 13 |" in card
    assert "| none given | 1 | 9 |" in card
    assert "| locked | not known | 0 | 3 |" in card
    assert "| photos | CC0-1.0 | 6 | 0 |" in card


def test_every_column_is_explained(filled: Builder) -> None:
    card = card_of(filled)
    for name in shard_schema().names:
        assert re.search(rf"^\| `{name}` \| \S.*\|$", card, re.MULTILINE), name


def test_the_card_is_the_same_each_time_and_leaves_no_template_behind(filled: Builder) -> None:
    card = card_of(filled)
    assert card == card_of(filled)
    assert "{{" not in card
    assert "{%" not in card


def test_a_licence_cannot_break_out_of_its_table(builder: Builder) -> None:
    generator = builder.generator("org/painter", license="mine |\n---\nlicense: mit\n<script>")
    builder.sample(generator, None)
    card = card_of(builder)
    assert "<script" not in card.replace("\\<", "")
    assert yaml.safe_load(card.split("---\n")[1])["license"] == "other"


@given(st.text())
def test_words_stay_in_one_cell(text: str) -> None:
    said = words(text)
    assert len(said.splitlines()) <= 1
    assert not re.search(r"(?<!\\)(?:\\\\)*[|<`]", said)


@pytest.mark.parametrize(
    ("rows", "category"),
    [(0, "n<1K"), (999, "n<1K"), (1_000, "1K<n<10K"), (2_700_000, "1M<n<10M"), (10**8, "10M<n<100M")],
)
def test_the_hubs_size_categories(rows: int, category: str) -> None:
    assert size_category(rows) == category
