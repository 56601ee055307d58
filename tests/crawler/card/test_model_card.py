import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from crawler.card.model_card import MAX_FRONT_MATTER, read_card
from crawler.card.trigger_words import read_trigger_words


def card(front_matter: str, body: str = "") -> bytes:
    return f"---\n{front_matter}\n---\n{body}".encode()


def test_front_matter_and_body_are_separated() -> None:
    found = read_card(card("license: mit\ntags:\n- diffusers", "# Title\n---\nmore\n"))
    assert found.metadata == {"license": "mit", "tags": ["diffusers"]}
    assert found.body == "\n# Title\n---\nmore\n"
    assert found.malformed is None


def test_scalars_stay_text() -> None:
    found = read_card(card("license: no\nbase_model: 1.0\ndate: 2024-01-01"))
    assert found.metadata == {"license": "no", "base_model": "1.0", "date": "2024-01-01"}


def test_windows_line_ends_and_a_byte_order_mark_do_not_hide_the_front_matter() -> None:
    assert read_card("\ufeff---\r\nlicense: mit\r\n---\r\n# Hi".encode()).metadata == {"license": "mit"}


@pytest.mark.parametrize("content", [None, b"", b"# Only a title\n", b"---\n---\n", b"----\nx: y\n"])
def test_a_card_without_front_matter_is_valid(content: bytes | None) -> None:
    found = read_card(content)
    assert found.metadata == {}
    assert found.malformed is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (card("tags: [a\nlicense: {"), "front matter"),
        (card("- a\n- b"), "not a mapping"),
        (card("just text"), "not a mapping"),
        (b"---\nlicense: \xff\n---\n", "not UTF-8"),
        (card("a: " + "x" * MAX_FRONT_MATTER), "characters"),
        (card("a: " + "[" * 5000), "front matter"),
        (card("a: !!python/object/apply:os.system ['true']\nb: &x [1]\nc: *x"), "alias"),
    ],
)
def test_unreadable_front_matter_is_described(content: bytes, message: str) -> None:
    found = read_card(content)
    assert found.malformed is not None
    assert message in found.malformed
    assert found.metadata == {}


def test_nested_aliases_are_refused_before_they_are_expanded() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    assert "alias" in (read_card(card("\n".join(lines))).malformed or "")


def test_yaml_tags_make_no_objects() -> None:
    found = read_card(card("a: !!python/object/apply:os.system ['false']"))
    assert found.metadata == {"a": ["false"]}


@pytest.mark.parametrize(
    ("front_matter", "bases"),
    [
        ("base_model: a/b", ("a/b",)),
        ("base_model: [a/b, c/d, a/b]", ("a/b", "c/d")),
        ("base_model: https://huggingface.co/a/b", ("a/b",)),
        ("base_model: https://huggingface.co/a/b/tree/main", ("a/b",)),
        ("base_model: null", ()),
        ("base_model: {a: b}", ()),
        ("base_model:", ()),
    ],
)
def test_base_models_are_read_as_authors_write_them(front_matter: str, bases: tuple[str, ...]) -> None:
    assert read_card(card(front_matter)).base_models == bases


@given(st.binary(max_size=300))
def test_no_bytes_raise(content: bytes) -> None:
    for found in (read_card(content), read_card(b"---\n" + content + b"\n---\n")):
        assert isinstance(found.base_models, tuple)
        assert read_trigger_words(found) != ""


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=15,
)


@given(st.dictionaries(st.sampled_from(["license", "base_model", "instance_prompt", "tags", "x"]), json_like))
def test_fields_of_any_type_are_read(metadata: dict[str, object]) -> None:
    found = read_card(card(yaml.safe_dump(metadata)))
    assert all(isinstance(base, str) and base for base in found.base_models)
    assert isinstance(read_trigger_words(found), str | None)


@pytest.mark.parametrize(
    "content",
    [
        "\n\n---\nlicense: mit\n---\n# Hi",
        "  \r\n\r\n---\r\nlicense: mit\r\n---\r\n# Hi",
        "\ufeff\n---\nlicense: mit\n---\n# Hi",
        "---  \nlicense: mit\n...\n# Hi",
        "---\rlicense: mit\r---\r# Hi",
        "---\nlicense: apache-2.0\nlicense: mit\n---\n# Hi",
    ],
)
def test_front_matter_is_found_as_people_write_it(content: str) -> None:
    found = read_card(content.encode())
    assert (found.metadata, found.body.strip(), found.malformed) == ({"license": "mit"}, "# Hi", None)


@pytest.mark.parametrize(
    ("text", "bases"),
    [
        ("This was fine-tuned from [base](https://huggingface.co/acme/base) on cats.", ("acme/base",)),
        ("- **Finetuned from model:** [Base 1.0](https://huggingface.co/acme/base)", ("acme/base",)),
        ("`x` is a model that has been fine-tuned on [acme/base](https://huggingface.co/acme/base/).", ("acme/base",)),
        ("**Distilled From** [acme/base](https://hf.co/acme/base)", ("acme/base",)),
        ("This model fine-tunes [base](https://huggingface.co/acme/base)", ("acme/base",)),
        ("These are LoRA adaption weights for [base](https://huggingface.co/acme/base).", ("acme/base",)),
        (
            "Fine-tuned from [base](https://huggingface.co/acme/base), like [x](https://huggingface.co/a/x)",
            ("acme/base",),
        ),
        ("Fine-tuned on [cats](https://huggingface.co/datasets/acme/cats).", ()),
        ("Fine-tuned from [base](https://huggingface.co/acme).", ()),
        ("Fine-tuned from [base](https://example.com/acme/base).", ()),
        ("Trained on [cats](https://huggingface.co/acme/cats).", ()),
        ("_This section is adapted from the [card](https://huggingface.co/acme/base)_", ()),
        ("This model has been fine tuned from [base](https://huggingface.co/acme/base).", ("acme/base",)),
        ("See [base](https://huggingface.co/acme/base).", ()),
    ],
)
def test_the_base_that_a_sentence_links_to_is_read(text: str, bases: tuple[str, ...]) -> None:
    assert read_card(card("license: mit", f"# A model\n\n{text}\n")).base_models == bases
    assert read_card(card("base_model: b/other", text)).base_models == ("b/other",)
