import pytest

from crawler.card.model_card import read_card
from crawler.card.trigger_words import read_trigger_words


def card(front_matter: str, body: str = "") -> bytes:
    return f"---\n{front_matter}\n---\n{body}".encode()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (card("instance_prompt: a photo of sks dog"), "a photo of sks dog"),
        (card("instance_prompt: null", "You should use `TOK` to trigger the image generation."), "TOK"),
        (
            card(
                "a: b",
                "You should use a to trigger the image generation.\nYou should use b to trigger the image generation.",
            ),
            "a, b",
        ),
        (card("a: b", "This is the `<cat-toy>` concept taught to Stable Diffusion"), "<cat-toy>"),
        (
            card("a: b", "The weights were trained on a photo of sks dog using [DreamBooth](https://x)."),
            "a photo of sks dog",
        ),
        (card("a: b", "Nothing special."), None),
        (card("a: b", "Trigger word: `pxlart`"), "pxlart"),
        (card("a: b", "- **Trigger words:** pixel art"), "pixel art"),
        (card("a: b", "* Activation token: **pxlart**."), "pxlart"),
        (card("a: b", '> **Instance prompt**: "a photo of sks dog"'), "a photo of sks dog"),
        (card("a: b", "Trigger word: <cat-toy>"), "<cat-toy>"),
        (card("a: b", "Trigger word: <s0><s1>\n---"), "<s0><s1>"),
        (card("a: b", "```\nTrigger word: pxlart\n```"), "pxlart"),
        (card("a: b", "Trigger word: pxlart\nTrigger word: `pixel art`"), "pxlart, pixel art"),
        (card("a: b", "Use the tokens **_arcane style_** in your prompts."), "arcane style"),
        (card("a: b", "Use the token `arcane style`\nin your prompts."), "arcane style"),
        (card("a: b", "The weights were trained on `sks dog`."), "sks dog"),
        (card("a: b", "Trigger word: none needed"), None),
        (card("a: b", "Trigger word: **not required**"), None),
        (card("a: b", "- Instance prompt: ``<ID> 1girl``"), None),
        (card("a: b", "Trigger words are explained below: see there"), None),
        (card("a: b", "```python\nTrigger word: pxlart\n```"), None),
        (card("a: b", "<!-- Trigger word: pxlart -->"), None),
    ],
)
def test_trigger_words_are_found_where_training_scripts_write_them(content: bytes, words: str | None) -> None:
    assert read_trigger_words(read_card(content)) == words
