"""What people wrote in the card stays, byte for byte; what cf-publish wrote is written anew."""

import re
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from manifests.publishing.owners_card import changes, framed, with_owners_words
from workspace.errors import CommunityForensicsError

TEXT = """12 images of 3 generators.

## Splits

Train and test.

```python
## no heading
```

## Limits

None.
"""
MATTER = {
    "pretty_name": "Forensics",
    "license": "other",
    "license_name": "per-image",
    "tags": ["image-forensics"],
    "size_categories": ["n<1K"],
    "configs": [{"config_name": "default", "data_files": [{"split": "Real", "path": "data/Real-*.parquet"}]}],
}


def card(text: str = TEXT, **matter: Any) -> str:
    return f"---\n{yaml.safe_dump({**MATTER, **matter}, sort_keys=False)}---\n\n# Forensics\n\n{framed(text)}\n"


NEW = card(TEXT.replace("12", "34"), size_categories=["1K<n<10K"])


def merged(on_hub: str, new: str = NEW) -> str:
    return with_owners_words(new, on_hub.encode())


def matter_of(text: str) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load(text.split("---\n")[1])
    return values


def refusal(on_hub: str | bytes) -> str:
    with pytest.raises(CommunityForensicsError) as refused:
        with_owners_words(NEW, on_hub if isinstance(on_hub, bytes) else on_hub.encode())
    message = str(refused.value)
    assert message.startswith("README.md of the dataset on the Hub ")
    assert "\n" not in message
    return message


def test_a_card_that_nobody_touched_is_replaced_and_then_stays() -> None:
    assert with_owners_words(NEW, None) == NEW
    assert merged(card()) == NEW
    assert merged(NEW) == NEW


def test_a_readme_of_before_the_first_publishing_keeps_its_text_and_its_keys() -> None:
    terms = "license: cc-by-nc-4.0\nextra_gated_prompt: Do not identify persons.  # ask the board\ndoi: 10.5/1\n"
    found = merged(f"---\n{terms}---\n# My faces\n\nContact: me@uni.example\n")
    assert found.startswith(f"---\n{terms}")
    assert "---\n# My faces\n\nContact: me@uni.example\n\n<!-- Begin of what cf-publish" in found
    assert "34 images" in found
    assert "# Forensics" not in found
    assert matter_of(found) == {
        "license": "cc-by-nc-4.0",
        "extra_gated_prompt": "Do not identify persons.",
        "doi": "10.5/1",
        **{name: matter_of(NEW)[name] for name in ("pretty_name", "tags", "size_categories", "configs")},
    }
    assert merged(found) == found


@pytest.mark.parametrize("on_hub", ["", "\n", "---\n---\n", "---\n# only a comment\n---\n\n"])
def test_a_readme_without_text_gets_all_of_ours(on_hub: str) -> None:
    found = merged(on_hub)
    assert matter_of(found) == matter_of(NEW)
    assert found.endswith(NEW.split("---\n", 2)[2])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# Forensics\n", "# My forensics\n\nContact: me@uni.example\n"),
        ("\n## Splits", "\n## Errata\n\nRow 17 is mislabelled.\n\n## Splits"),
        ("\n## Limits", "\n# Errata\nRow 17.\n### More\nRow 18.\n\n## Limits"),
        ("None.\n", "None.\n\n## Errata\n\n```\n## Splits\n```\n"),
        ("pretty_name: Forensics\n", "pretty_name: Ours\nextra_gated_fields:\n  Affiliation: text\n"),
        ("license: other\n", "license: other\nextra_gated_prompt: |-\n  Please\n\n  # accept\n"),
        ("license: other\n", "license: mit\n"),
        ("tags:\n", "tags:\n- faces\n"),
    ],
)
def test_what_people_add_to_a_published_card_is_kept(old: str, new: str) -> None:
    assert card().count(old) == 1
    found = merged(card().replace(old, new))
    assert new in found
    assert matter_of(found)["size_categories"] == ["1K<n<10K"]
    assert found.count("34 images") == found.count("\nTrain and test.") == 1
    assert merged(found) == found


def test_text_above_and_below_is_kept_byte_for_byte() -> None:
    above, below = "\r\n\r\n# Title \t\r\n\r\nwords\u2028more\n\n", "\n\n\n## Errata\r\nRow 17.\n   \n```\nno end"
    found = merged(card().replace("\n# Forensics\n\n", above) + below)
    assert found == NEW.replace("\n# Forensics\n\n", above) + below


def test_line_ends_of_another_system_are_no_change_of_a_section() -> None:
    assert merged(card().replace("\n", "\r\n")).replace("\r\n", "\n") == NEW


def test_sections_that_are_no_longer_written_go_and_new_ones_come() -> None:
    new = card("34 images.\n\n## Splits\n\nAll.\n\n## Files\n\nMany.\n")
    owners = card().replace("None.\n", "None.\n\n## Errata\n\nRow 17.\n")
    found = merged(owners, new)
    assert "## Limits" not in found
    assert re.findall(r"^## (.*)$", found.replace("```python\n## no heading\n```", ""), re.MULTILINE) == [
        "Splits",
        "Errata",
        "Files",
    ]
    assert merged(found, new) == found


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("Train and test.", "Train, test and mine.", "'Splits'"),
        ("12 images of 3", "12 beautiful images of 3", "the beginning"),
        ("None.", "None.\n\n### Errata\n\nRow 17.", "'Limits'"),
    ],
)
def test_a_section_of_ours_that_was_changed_by_hand_is_refused_by_name(old: str, new: str, named: str) -> None:
    message = refusal(card().replace(old, new))
    assert f"changed by hand since ({named})" in message
    assert "heading of its own" in message


@pytest.mark.parametrize("part", ["<!-- Begin of what cf-publish", "<!-- End of what cf-publish"])
def test_one_comment_without_the_other_is_refused(part: str) -> None:
    without = "".join(line for line in card().splitlines(keepends=True) if not line.startswith(part))
    assert "the two comments" in refusal(without)
    assert "the two comments" in refusal(card() + framed(TEXT))


@pytest.mark.parametrize(
    ("on_hub", "reason"),
    [
        ("---\nlicense: [mit\n---\ntext\n", r"no valid YAML \(line 3: "),
        ("---\nlicense: mit\n", "no second ---"),
        ("---\n- a\n- b\n---\n", "no list of names"),
        ("---\nwords\n---\n", "no list of names"),
        ("---\na: 1\na: 2\n---\n", "'a' twice"),
        ("---\na: !!python/object:os.system {}\n---\n", "no valid YAML"),
        ("---\na: 2020-99-99\n---\n", "no valid YAML"),
        ("---\n" + "[" * 5000 + "\n---\n", "no valid YAML"),
        (b"\xff\xfe#\x00", "not UTF-8"),
    ],
)
def test_a_card_that_cannot_be_read_is_refused_with_what_to_do(on_hub: str | bytes, reason: str) -> None:
    assert re.search(reason, refusal(on_hub))


@pytest.mark.parametrize(
    "matter",
    [
        "{license: mit, configs: []}",
        "configs: &c []\nmine: *c",
        "configs:\n- config_name: old\n# about mine\nmine: 1.10  # exactly\nsize_categories: [x]\n",
        "mine: |\n  a\n  configs: b\nconfigs: null",
        "? mine\n: 1\nconfigs: []",
        "mine: 2020-01-01\nversion: 1.0\non: off\n",
    ],
)
def test_front_matter_is_valid_and_has_the_owners_values_however_it_is_written(matter: str) -> None:
    found = merged(f"---\n{matter}\n---\n")
    owners = {name: value for name, value in yaml.safe_load(matter).items() if name not in MATTER or name == "license"}
    assert matter_of(found).items() >= owners.items()
    assert matter_of(found)["configs"] == MATTER["configs"]
    assert merged(found) == found
    for comment in re.findall(r"# .*", matter):
        assert comment in found


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab#:'\n- ", max_size=4), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=8) | st.sampled_from(
    ["configs", "tags", "license", "size_categories", "yes", "~", "1"]
)


@example({"0": "a\x85b", "1": "ä"}, False, "")
@given(st.dictionaries(NAMES, VALUES, max_size=6), st.booleans(), st.text(st.characters(exclude_categories=["Cs"])))
def test_any_front_matter_and_any_text_are_kept(matter: dict[str, Any], flow: bool, text: str) -> None:
    written = yaml.safe_dump(matter, sort_keys=False, allow_unicode=True, default_flow_style=flow)
    if "\x85" in written:  # PyYAML writes it so that it reads it as another character
        written = yaml.safe_dump(matter, sort_keys=False, default_flow_style=flow)
    found = merged(f"---\n{written}---\n{text}")
    assert (
        yaml.safe_load(re.split(r"(?m)^---\n", found)[1]).items()
        >= {
            name: value
            for name, value in matter.items()
            if name not in ("configs", "size_categories", "tags", "task_categories")
        }.items()
    )
    assert text.rstrip() in found
    assert merged(found) == found


def test_the_changes_are_shown_as_a_diff() -> None:
    assert list(changes(NEW.encode(), NEW)) == []
    shown = list(changes(card().encode(), NEW))
    assert "-12 images of 3 generators." in shown
    assert "+34 images of 3 generators." in shown
    assert "## Splits" not in shown
