import re
from dataclasses import asdict, fields, replace

import pytest
import yaml
from huggingface_hub import DatasetCard
from hypothesis import given
from hypothesis import strategies as st

from manifests.building import build
from manifests.manifest import ManifestRow, manifest_path
from manifests.options import BuildOptions
from manifests.publishing.card import Measured, link, plain, size_category, write_card
from manifests.publishing.layouts import layout_of
from manifests.publishing.planning import plan_shards
from manifests.reproduction.record import Reproduction, write_reproduction
from manifests.tables.generators import read_generators, write_generators
from manifests.tables.withheld import WithheldRow, withheld_path
from tests.manifests.making import Builder
from tests.manifests.publishing.publishing import numbers_of
from workspace import recipe, records
from workspace.identity import sha256_of_file
from workspace.layout import Workspace


def built(builder: Builder) -> Workspace:
    workspace = builder.write()
    build(workspace)
    return workspace


def card_of(workspace: Workspace, layout: str = "viewer") -> str:
    chosen = layout_of(layout)
    shards = plan_shards(workspace, chosen, 1 << 30)
    return write_card("org/data", workspace, chosen, shards, numbers_of(workspace), Measured.of(workspace))


def hold_out(workspace: Workspace, model_name: str) -> None:
    """Make one generator the evaluation set, one of its images of neither split; withhold the locked source."""
    rows = records.read(manifest_path(workspace), ManifestRow)
    kept = [row for row in rows if row.label or row.redistributable]
    withheld = [row for row in rows if row not in kept]
    ours = [replace(row, split="test" if row.index else None) if row.model_name == model_name else row for row in kept]
    records.write(manifest_path(workspace), ManifestRow, ours)
    names = {field.name for field in fields(WithheldRow)}
    listed = [{name: value for name, value in asdict(row).items() if name in names} for row in withheld]
    records.write(withheld_path(workspace), WithheldRow, [WithheldRow(**row) for row in listed])


def test_the_front_matter_says_which_files_are_which_split(ready: Workspace) -> None:
    hold_out(ready, "org/sketcher")
    card = card_of(ready)
    assert "&id" not in card.split("---\n")[1]
    matter = DatasetCard(card).data.to_dict()
    default, *alone, generators, real = matter["configs"]
    names = ["Manual", "PublicEval", "Real", "Systematic"]
    assert default["default"]
    assert [item["split"] for item in default["data_files"]] == names
    assert default["data_files"][3]["path"] == "data/Systematic-*.parquet"
    assert [(config["config_name"], config["data_files"]) for config in alone] == [
        (name, [{"split": name, "path": f"data/{name}-*.parquet"}]) for name in names
    ]
    assert (generators["config_name"], real["config_name"]) == ("generators", "real_images")
    assert matter["size_categories"] == ["n<1K"]
    assert matter["license"] == "other"


def test_without_withheld_images_there_is_no_list_of_them(ready: Workspace) -> None:
    matter = DatasetCard(card_of(ready)).data.to_dict()
    assert "real_images" not in [config["config_name"] for config in matter["configs"]]


def test_the_card_has_this_datasets_numbers(filled: Builder) -> None:
    filled.prompts["photos"] = [
        replace(prompt, license_link="https://photos.example/terms") for prompt in filled.prompts["photos"]
    ]
    filled.catalog[0] = replace(
        filled.catalog[0], license="other", license_name="my terms", license_link="https://my.example/terms"
    )
    workspace = built(filled)
    hold_out(workspace, "org/sketcher")
    rows = records.read(manifest_path(workspace), ManifestRow)
    further = next(row.sha256 for row in rows if not row.label)
    rows = [replace(row, prompted=False) if row.sha256 == further else row for row in rows]
    records.write(manifest_path(workspace), ManifestRow, rows)
    card = card_of(workspace)
    assert "21 images of 3 generators" in card
    assert "and 6 real images of the sources of the prompts (5 of\nthem are those whose captions were prompts" in card
    assert "The crawl examined 5 generators; 3 of them made the images here." in card
    assert "Rejected samples: 1 nsfw, 0 blank, 1 nan, 1 duplicate." in card
    assert "lists 3 more real images" in card
    assert re.search(r"\| `Systematic` \| 9 \| 1 \| 0 \| \d\.\d kB \| generated images \|", card)
    assert re.search(
        r"\| `PublicEval` \| 8 \| 1 \| 0 \| \d\.\d kB \| for evaluation: generated and real images \|", card
    )
    assert "`PublicEval` is for evaluation: 8 images of 1 generator and" in card
    assert "| none given | 1 | 8 |  |" in card
    assert "| other: my terms | 1 | 9 | <https://my.example/terms> |" in card
    assert "| LOCKED | unknown | 0 | 3 |  |" in card
    assert "| PHOTOS | CC0-1.0 | 6 | 0 | <https://photos.example/terms> |" in card
    assert "| PixDiff | 1 | 4 |" in card


def test_the_card_says_what_is_for_validation_and_whether_relatives_train(filled: Builder) -> None:
    workspace = filled.write()
    holdout, validation = ("name=org/painter",), ("name=solo-dreamer",)
    build(workspace, BuildOptions(holdout=holdout, validation=validation, kin="ignore"))
    card = card_of(workspace)
    assert "| `validation` | 4 | 1 | 0 |" in card
    assert "for validation: generated and real images |" in card
    assert "4 images of\n1 generator and 0 real images. Held out: name=solo-dreamer." in card
    assert "its generators may have ancestors in common" in card
    build(workspace, BuildOptions(holdout=holdout))
    card = card_of(workspace)
    assert "`validation` is for" not in card
    assert "None of its generators shares an ancestor" in card


def test_local_generators_are_named_with_their_hash_and_without_a_link_to_the_hub(ready: Workspace) -> None:
    assert "not on the Hub" not in card_of(ready)
    rows = [
        replace(row, revision="a" * 64, link="https://example.org/mix") if row.model_name == "org/painter" else row
        for row in read_generators(ready)
    ]
    write_generators(ready, rows)
    card = card_of(ready)
    assert re.search(rf"\| org/painter \| <https://example\.org/mix> \| \S* ?\| `{'a' * 64}` \|", card)
    assert "huggingface.co/org/painter" not in card


def test_without_an_evaluation_set_the_card_says_so(ready: Workspace) -> None:
    card = card_of(ready)
    assert "This dataset has no evaluation split" in card
    assert "PublicEval" not in card


def test_the_card_has_the_recipe(filled: Builder) -> None:
    workspace = filled.write()
    recipe.pin(workspace, "crawl", {"exclude": ["a|b", "c"], "author": None})
    settings = {"images": 400, "safety_checker": "org/checker@abc", "weights": {"photos": 2.0}}
    recipe.pin(workspace, "sample", settings)
    recipe.pin(workspace, "sample", {"images": 600, "safety_checker": "org/checker@abc"}, update=True)
    build(workspace)
    card = card_of(workspace)
    assert "| sample | images | 400 |" in card
    assert "| sample | safety\\_checker | org/checker@abc |" in card
    assert "| sample | weights: photos | 2.0 |" in card
    assert "| crawl | exclude | a\\|b, c |" in card
    # Of a later round only what is another one.
    assert "| sample, round 2 | images | 600 |" in card
    assert "| sample, round 2 | weights: photos | no longer set |" in card
    assert card.count("safety\\_checker") == 1
    assert "| diffusers=0.42.1, torch=2.13.0 | cpu | float32 | 22 |" in card


@pytest.mark.parametrize("layout", ["viewer", "community-forensics"])
def test_every_column_is_explained(ready: Workspace, layout: str) -> None:
    card = card_of(ready, layout)
    for name in layout_of(layout).schema.names:
        assert re.search(rf"^\| `{name}` \| \S.*\|$", card, re.MULTILINE), name
    # No part of an explanation is markup, which a page does not show.
    assert not re.search(r"^\| `.*(?<!\\)<", card, re.MULTILINE)


def test_the_card_is_the_same_each_time_and_leaves_no_template_behind(filled: Builder, ready: Workspace) -> None:
    card = card_of(ready)
    assert card == card_of(built(filled))
    assert "{{" not in card
    assert "{%" not in card


def test_a_licence_cannot_break_out_of_its_table(builder: Builder) -> None:
    wicked = "mine |\n---\nlicense: mit\n<script>"
    generator = builder.generator(
        "org/painter", task="unconditional", license=wicked, license_name=wicked, license_link="javascript:" + wicked
    )
    builder.sample(generator, None)
    card = card_of(built(builder))
    assert "<script" not in card.replace("\\<", "")
    assert yaml.safe_load(card.split("---\n")[1])["license"] == "other"


@given(st.text())
def test_plain_text_stays_in_one_cell(text: str) -> None:
    said = plain(text)
    assert len(said.splitlines()) <= 1
    assert not re.search(r"(?<!\\)(?:\\\\)*[|<`]", said)


@pytest.mark.parametrize(
    ("rows", "category"),
    [(0, "n<1K"), (999, "n<1K"), (1_000, "1K<n<10K"), (2_700_000, "1M<n<10M"), (10**8, "10M<n<100M")],
)
def test_the_hubs_size_categories(rows: int, category: str) -> None:
    assert size_category(rows) == category


@given(st.text())
def test_a_link_is_a_valid_link_or_plain_text(text: str) -> None:
    for address in (text, f"https://{text}"):
        said = link(address)
        if said.startswith("<"):
            assert re.fullmatch(r"<https?://[^\s<>|`\\]+>", said)
        else:
            assert said == plain(address)


def test_the_card_says_that_images_were_made_again_where_that_is_so(ready: Workspace) -> None:
    assert "made again" not in card_of(ready)
    found = Reproduction(sha256_of_file(manifest_path(ready)), 7, ("org/painter@a#1", "org/painter@a#2"), ("cpu",))
    write_reproduction(ready, found)
    assert "Can they be made again? 2 of 2 random images (seed 7) made again bit-equal on cpu." in card_of(ready)
    write_reproduction(ready, replace(found, manifest="0" * 64))
    assert "made again" not in card_of(ready)
