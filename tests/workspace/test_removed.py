"""Tombstones: what was removed is recognised, and named nowhere."""

import pytest

from workspace.errors import CommunityForensicsError
from workspace.layout import Workspace
from workspace.removed import (
    Removals,
    Removed,
    generator_key,
    is_pseudonym,
    matches_licence,
    pseudonym_of,
    read_removals,
    real_key,
    write_removals,
)

_SHA256 = "5" * 64


def _removed(what: str, key: str, **changes: object) -> Removed:
    return Removed(what=what, key=key, reason="privacy", day="2026-11-30", **changes)  # type: ignore[arg-type]


@pytest.fixture
def removals() -> Removals:
    return Removals([_removed("generator", generator_key(name)) for name in ("org/gone", "gpt2", "a.b/c-d_e")])


def test_a_generator_is_recognised_with_all_its_revisions_or_one() -> None:
    whole = Removals([_removed("generator", generator_key("org/gone"))])
    assert whole.generator("org/gone") is not None
    assert whole.generator("org/gone", "a" * 40) is not None
    assert whole.generator("org/other") is None
    one = Removals([_removed("generator", generator_key("org/gone", "a" * 40))])
    assert one.generator("org/gone", "a" * 40) is not None
    assert one.generator("org/gone") is None
    assert one.generator("org/gone", "b" * 40) is None


def test_a_real_image_is_recognised_by_its_sha256_and_by_its_licence() -> None:
    removals = Removals([_removed("real-image", real_key(_SHA256)), _removed("real-licence", "cc-by-nc*")])
    assert removals.real_image(_SHA256, "CC0-1.0") is not None
    assert removals.real_image("6" * 64, "CC-BY-NC-4.0") is not None
    assert removals.real_image("6" * 64, "CC-BY-4.0") is None
    assert removals.real_image("6" * 64, None) is None
    assert removals.real_image(None, "CC-BY-NC-4.0") is None
    assert matches_licence(None, "none")


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("org/gone", "{org/gone}"),
        ("base_model:finetune:org/gone", "base_model:finetune:{org/gone}"),
        ("made from org/gone.", "made from {org/gone}."),
        ("https://hub.example/org/gone/blob/main/LICENSE", "https://hub.example/{org/gone}/blob/main/LICENSE"),
        ("images/org--gone/00000000.png", "images/{org--gone}/00000000.png"),
        ("outcomes/org--gone.json", "outcomes/{org--gone}.json"),
        ("org/gone@0123456789ab", "{org/gone}@0123456789ab"),
        ("name=gpt2", "name={gpt2}"),
        ('["a.b/c-d_e", 1]', '["{a.b/c-d_e}", 1]'),
        ("org/gone2, other/org, xorg/gone, org/go", "org/gone2, other/org, xorg/gone, org/go"),
        ("café org/gone", "café {org/gone}"),
    ],
)
def test_a_name_is_hidden_wherever_it_is_in_a_text_and_no_other_one(removals: Removals, text: str, hidden: str) -> None:
    expected = hidden
    for name in ("org/gone", "gpt2", "a.b/c-d_e"):
        pseudonym = pseudonym_of(generator_key(name))
        assert is_pseudonym(pseudonym)
        expected = expected.replace(f"{{{name}}}", pseudonym)
        expected = expected.replace(f"{{{name.replace('/', '--')}}}", pseudonym.replace("/", "--"))
    assert removals.hidden(text) == expected
    assert removals.hidden(expected) == expected


def test_without_removals_nothing_is_hidden() -> None:
    assert Removals().hidden("org/gone") == "org/gone"
    assert Removals().generator("org/gone") is None


def test_tombstones_are_read_as_they_were_written_and_hold_no_name(tmp_path: object, removals: Removals) -> None:
    workspace = Workspace.open(str(tmp_path))
    assert read_removals(workspace).rows == []
    write_removals(workspace, removals)
    first = workspace.removed.read_bytes()
    again = read_removals(workspace)
    assert again.rows == removals.rows
    write_removals(workspace, again.united(removals.rows))
    assert workspace.removed.read_bytes() == first
    assert b"gone" not in first


def test_who_read_them_before_something_was_removed_is_told_to_begin_again(
    tmp_path: object, removals: Removals
) -> None:
    workspace = Workspace.open(str(tmp_path))
    before = read_removals(workspace)
    before.require_current(workspace)
    write_removals(workspace, removals)
    with pytest.raises(CommunityForensicsError, match=r"meanwhile .*run the same command again"):
        before.require_current(workspace)


def test_names_in_settings_are_hidden_also_as_names_of_settings(removals: Removals) -> None:
    settings = {"org/gone": {"steps": 4}, "holdout": ["name=org/gone", "name=org/b"], "limit": 5, "seed": None}
    pseudonym = pseudonym_of(generator_key("org/gone"))
    hidden = {pseudonym: {"steps": 4}, "holdout": [f"name={pseudonym}", "name=org/b"], "limit": 5, "seed": None}
    assert removals.hidden_values(settings) == hidden
