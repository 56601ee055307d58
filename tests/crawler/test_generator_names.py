from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.generator_names import GeneratorNames
from workspace.errors import UsageError


def test_names_and_patterns_are_matched_as_they_are_written() -> None:
    names = GeneratorNames.parse(["org/one", "lab/*-xl", "a/[bc]"], "--only")
    assert [names.match(name) for name in ("org/one", "lab/big-xl", "a/b", "a/c")] == [True] * 4
    assert [names.match(name) for name in ("Org/one", "org/one-b", "lab/xl", "a/d", "a/[bc]x")] == [False] * 5
    assert not GeneratorNames.parse([], "--only")


def test_a_generator_is_named_by_any_of_its_names() -> None:
    assert GeneratorNames(("org/a@abc",)).match("org/a", "org/a@abc")
    assert not GeneratorNames(("org/a@abc",)).match("org/a")


def test_a_file_has_a_name_or_pattern_a_line(tmp_path: Path) -> None:
    file = tmp_path / "names.txt"
    file.write_bytes(b"\xef\xbb\xbf# of the first paper\r\norg/one\r\n\r\n  lab/*  \n   # and more\norg/one\n")
    names = GeneratorNames.parse(["org/two", f"@{file}"], "--only")
    assert (names.given, names.listed) == (("org/two",), ("org/one", "lab/*"))
    assert names.texts == ("org/two", "org/one", "lab/*")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file or directory"),
        (b"", "it names no generator"),
        (b"# nothing\n\n", "it names no generator"),
        (b"org/a\n\xff\n", "it is not text"),
        (b"org/a\norg/b, org/c\n", "line 2, 'org/b, org/c', is neither ORG/NAME nor a pattern such as ORG"),
        (b"model_name,downloads\norg/b,1\n", "line 1, 'model_name,downloads', is neither"),
        (b"https://huggingface.co/org/a\n", "line 1, 'https://huggingface.co/org/a', is neither"),
    ],
)
def test_a_file_that_is_no_list_of_names_is_an_error_in_one_line(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    file = tmp_path / "names.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match=message) as raised:
        GeneratorNames.parse([f"@{file}"], "--exclude")
    assert str(raised.value).startswith(f"--exclude @{file}: ")
    assert "\n" not in str(raised.value)


@given(st.lists(st.text()))
def test_no_text_of_an_option_is_more_than_a_name_or_a_pattern(texts: list[str]) -> None:
    names = GeneratorNames.parse([text for text in texts if not text.startswith("@")], "--only")
    assert isinstance(names.match("org/one"), bool)
