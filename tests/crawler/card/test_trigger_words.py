import time

import pytest

from crawler.card.model_card import Card, read_card
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


@pytest.mark.parametrize(
    ("text", "words"),
    [
        # What programs write.
        ("You should use `pixelart`, `8bit` to trigger the generation.", "pixelart, 8bit"),
        ("You should use `` to trigger the image generation.", None),
        ("No trigger words defined.", None),
        ("It can be used by modifying the `instance_prompt`: **a photo of zorp dog**", "a photo of zorp dog"),
        ("Sample pictures of:\n\nzorp (use that on your prompt)\n![zorp 0](zorp.jpg)", "zorp"),
        ("zorp (use that on your prompt)\n![a](b)\n\nblip (use that on your prompt)", "zorp, blip"),
        ("### My Zorp Dreambooth model trained by ann with [Hugging Face Dreambooth Training Space](x)", None),
        ("### zorp Dreambooth model trained by ann with [TheLastBen's fast-DreamBooth](x) notebook", "zorp"),
        (
            "### My model Dreambooth model trained by ann with [TheLastBen's fast-DreamBooth](x) notebook\n\n"
            "Sample pictures of zorp concept:",
            "zorp",
        ),
        (
            "### zorp Dreambooth model trained by ann with [TheLastBen's fast-DreamBooth](x) notebook\n\n"
            "Sample pictures of this concept:",
            "zorp",
        ),
        ("to trigger concept `TOK` → use `<s0><s1>` in your prompt", "<s0><s1>"),
        # What people write.
        ("Trigger word: **zorp**", "zorp"),
        ("**Trigger Words: Zorp Style**", "Zorp Style"),
        ("### Trigger Word:\n`zorp`, `blip`", "zorp, blip"),
        ("## Trigger words\n\nzorp", "zorp"),
        ("Trigger words:\n\n```\nzorp\n```", "zorp"),
        ("Trigger words: zorp, blip", "zorp, blip"),
        ("Token: ```zorp```", "zorp"),
        ("In your prompt, use the activation token: `zorp style`", "zorp style"),
        ("The activation token is zorp", "zorp"),
        ("activation token: zorp", "zorp"),
        ("Use the token ZorpArt to trigger the effect. It works anywhere.", "ZorpArt"),
        ("Use the token Zorp Style to activate the effect.", "Zorp Style"),
        ("Include **'zorp-v4 style'** in prompt. More below.", "zorp-v4 style"),
        ("Include **'zorp-v4 style'** in the prompt. More below.", "zorp-v4 style"),
        ("Use **_zorp_** in your prompts.", "zorp"),
        ('Use "<b>a zorp, digital art</b>" in your prompts.', "a zorp, digital art"),
        ('Use the word "Zorp-Character" to trigger the custom style', "Zorp-Character"),
        ('The model can be used with the trigger word "zorp"\nor with the trigger word "blip"', "zorp, blip"),
        ("To reference the art style, use the token: zorp style", "zorp style"),
        ("Run with prompt: `photo in zorp style`", "photo in zorp style"),
        ("The keyword for this model is **zorp**.", "zorp"),
        ("Use the tokens **_a style, b style or c style_** in your prompts.", "a style, b style, c style"),
        ("You must put in the prompt: ''in zorp style'' to get the best result.", "in zorp style"),
        ("Use ZorpXmas in your prompt", "ZorpXmas"),
        ("Keep the words `zorp robot` towards the beginning of your prompt", "zorp robot"),
        # Optional words, and sentences that only look alike.
        ("You can also use `blip` in your prompts.", None),
        ("I recommend including `blip` in your prompt.", None),
        ('You don\'t need to use the token "zorp" in the prompt.', None),
        ("You may need to use the words `a` `b` in your negative prompts.", None),
        ("Add **photo** to your prompt to make it more photorealistic.", None),
        ("To make faces work better, add “blip, blop” to the prompt", None),
        ("Trigger words (optional): blip", None),
        ("Trigger words: optional", None),
        ("The trigger word is not required.", None),
        ("Use `blip` in your prompt if you want more.", None),
        ('Using the "blip" token in the prompts might help with faces.', None),
        ("Use hyperrealistic in your prompts to enhance the style.", None),
        ("- [Trigger words](#a)\n- [Setup](#b)\n- [Space](#c)", None),
        ("# A\nTrigger word: zorp\n# B\nTrigger word: blip", None),
        ("Use `zorp` in your prompts.\n\nOr the other model: use `blip` in your prompts.", None),
    ],
)
def test_trigger_words_are_read_in_sentences(text: str, words: str | None) -> None:
    assert read_trigger_words(Card(body=text)) == words


@pytest.mark.parametrize(
    "line",
    [
        "You should use ",
        "use `",
        'Use the token "a" ',
        "Use **a** in ",
        "trigger word: ",
        "<a> ",
        "`a`, ",
        "weights were trained on ",
        "{a} or ",
        "''",
        "modifying the `instance_prompt`: **a",
        "a is the trigger ",
        "to trigger concept `",
        "x (use that ",
        "Trigger word: a, ",
    ],
)
def test_hostile_sentences_are_read_in_bounded_time(line: str) -> None:
    for text in (line * (2**20 // len(line)), (line * (4000 // len(line)) + "\n") * 300):
        start = time.process_time()
        read_trigger_words(Card(body=text))
        assert time.process_time() - start < 20
