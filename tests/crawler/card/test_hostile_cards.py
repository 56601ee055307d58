"""Cards that were made to take long: each ends within its limit, and says that it was not read to its end."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.adapters import _concept, _file_name, _words
from crawler.card.embedding_tokens import words_for_prompts
from crawler.card.licenses import license_of
from crawler.card.model_card import MAX_CARD, Card, read_card
from crawler.card.snippets import REST, Usage, read_usage
from crawler.hyperparameters import hyperparameters_of, texts_too_long
from crawler.pipelines.traits import describe
from tests.bounds import within
from tests.fuzzing import fuzzed
from tests.scale import scaled

TRAITS = describe("StableDiffusionPipeline")
#: Seconds of CPU for one card; the slowest takes a half of one on a quiet machine.
SECONDS = scaled(7.0, 20.0)
#: What Python holds at most while a card of a megabyte is read.
MEGABYTES = 200
TEN_MEGABYTES = 10 * 2**20
#: Bytes of a long card: all that a card may have, or a third, which takes long as well where a reader is not linear.
SIZE = scaled(MAX_CARD // 3, MAX_CARD)
# Words that every pattern waits for, so that none is skipped.
HINTS = (
    "prompt trigger token phrase term tag invoked called the trigger the activation to trigger the to activate to "
    "invoke will bring in run with prompt (use >` concept instance_prompt weights were trained on to trigger concept "
    "(use that in your prompt) 25 steps cfg 7 guidance 512x512 clip skip 2\n\n"
)


def read(content: bytes) -> tuple[Card, Usage]:
    """Everything that a crawl reads in a card."""
    assert TRAITS is not None
    card = read_card(content)
    usage = read_usage(card.document, "acme/model", TRAITS.parameters)
    hyperparameters_of(TRAITS, card, usage, {}, "<token>")
    texts_too_long(card, usage, "<token>")
    words_for_prompts(card, usage, "<token>")
    license_of(card.metadata, ())
    assert isinstance((*card.base_models, *card.priors), tuple)
    _concept(card), _file_name("name.safetensors", card), _words(card)
    return card, usage


def filled(piece: str, size: int = SIZE, line: int = 0) -> bytes:
    """A text of the piece again and again, in lines of that many characters (0: none but the piece's own)."""
    if line:
        piece = (piece * (line // len(piece) + 1))[:line] + "\n"
    return (HINTS + piece * (size // len(piece.encode()) + 1)).encode()[:size]


def in_code(piece: str, head: str = "") -> bytes:
    block = f"```python\n{head}{piece * (45_000 // len(piece))}\n```\n"
    return (block * (SIZE // len(block) + 1)).encode()[:SIZE]


def in_front_matter(piece: str, head: str = "", size: int = 190_000) -> bytes:
    return f"---\n{head}{piece * (size // len(piece))}\n---\n".encode()


PARAGRAPHS = [
    "You should use ",
    "trained on ",
    "use the token: 'a' and ",
    "`a`, ",
    "Steps: 30, Sampler: Euler a, ",
    "1-",
]
MARKUP = [
    "[",
    "![",
    "[a][",
    "`",
    "*a",
    "**_",
    "***a_ ",
    "|a",
    "\\",
    "<h2>a</h2>",
    "<a b='",
    "&#",
    "(",
    "\x00",
    "A.B! C; ",
]
LINES = [
    "  - a\n",
    "> ",
    "a|b\n-|-\n",
    "### a\n",
    "<!--",
    "```a\n",
    "    code\n\n",
    "[a]: b\n",
    "\t",
    "a\n===\n",
    "Steps:\n",
]
STATEMENTS = [
    "a = b = 1\n",
    "if a: b=1\n",
    "for i in a:\n b=1\n",
    "not ",
    "(",
    "f'{a}' ",
    "a.b(",
    "1+",
    "x = {**x, 'a': 1}\n",
]
FRONT_MATTER = ["k: v\n", "- ", "? ", "[", "{a: ", "a: &a [x]\nb: *a\n", "a: >\n  x\n\n", "<<: {a: b}\n"]


def hostile() -> Iterator[object]:
    for piece in PARAGRAPHS:
        yield pytest.param(filled(piece, line=590), id=f"paragraph of {piece!r}")
    for piece in MARKUP:
        yield pytest.param(filled(piece, line=4900), id=f"line of {piece!r}")
    for piece in LINES:
        yield pytest.param(filled(piece), id=f"{piece!r}")
    for piece in STATEMENTS:
        yield pytest.param(in_code(piece), id=f"code of {piece!r}")
    for piece in FRONT_MATTER:
        yield pytest.param(in_front_matter(piece), id=f"front matter of {piece!r}")


@pytest.mark.attack
# Each fourth one: most of them are the same to our own code, and differ in what markdown-it does.
@pytest.mark.parametrize("content", list(hostile())[:: scaled(4, 1)])
def test_a_long_card_made_to_take_long_takes_seconds(content: bytes) -> None:
    with within(seconds=SECONDS):
        card, usage = read(content)
    assert card.malformed is not None or card.metadata or REST in usage.unread


@pytest.mark.attack
@pytest.mark.parametrize(
    "piece", scaled([PARAGRAPHS[0], FRONT_MATTER[0]], [*PARAGRAPHS, *MARKUP, *LINES, *STATEMENTS, *FRONT_MATTER])
)
def test_ten_megabytes_are_not_read_and_the_card_says_so(piece: str) -> None:
    with within(seconds=SECONDS):
        card, _ = read(filled(piece, size=TEN_MEGABYTES))
    assert card.malformed == "README.md has more than 1.0 MB"


@pytest.mark.attack
def test_a_concept_that_its_tokens_repeat_does_not_fill_the_memory() -> None:
    # Every sentence made the text a hundred times longer.
    sentences = "".join(f"to trigger concept `a` → use `<s{number}>{' a' * 40}`\n" for number in range(9))
    with within(seconds=SECONDS, megabytes=MEGABYTES):
        card, usage = read(f"---\ninstance_prompt: {'a ' * 1000}\n---\n{sentences}".encode())
    assert texts_too_long(card, usage) == ("trigger_words",)


# Values that hold one another twice: what n lines make has 2 ** n parts.
DOUBLED = {
    "dictionaries": ("{v}0 = {{'a': 1}}\n", "{v}{n} = {{'a': {v}{m}, 'b': {v}{m}}}\n"),
    "schedulers": ("{v}0 = DDIMScheduler(a=1)\n", "{v}{n} = DDIMScheduler(a={v}{m}, b={v}{m})\n"),
    "entries": ("{v}0 = {{}}\n", "{v}{n} = {{}}\n{v}{n}['a'] = {v}{m}\n{v}{n}['b'] = {v}{m}\n"),
    "updates": ("{v}0 = {{}}\n", "{v}{n} = dict(a={v}{m})\n{v}{n}.update(b={v}{m})\n"),
}


@pytest.mark.attack
@pytest.mark.parametrize("kind", DOUBLED)
@pytest.mark.parametrize("compared", ["if c:\n    x = a60\nelse:\n    x = b60\n", "x = a60 if c else b60\n"])
def test_values_that_hold_values_twice_are_not_followed(kind: str, compared: str) -> None:
    first, following = DOUBLED[kind]
    lines = (following.format(v=v, n=n, m=n - 1) for v in "ab" for n in range(1, 61))
    code = f"{first.format(v='a')}{first.format(v='b')}{''.join(lines)}{compared}"
    with within(seconds=SECONDS):
        read(f"```python\n{code}pipe('x', height=x)\n```\n".encode())


@pytest.mark.attack
@pytest.mark.parametrize(
    "statement", ["x = dict(d)\n", "if c: x = dict(d)\nelse: x = dict(d)\n", "x = {**d, **d}\n", "x = d if c else e\n"]
)
def test_copies_and_comparisons_of_large_values_are_counted(statement: str) -> None:
    texts = ", ".join(f"k{number}='{'x' * 20}'" for number in range(600))
    code = f"d = dict({texts})\ne = dict({texts})\n```\n```python\n{statement * (40_000 // len(statement))}"
    with within(seconds=SECONDS):
        read(f"```python\n{code}```\n".encode())


@pytest.mark.attack
@pytest.mark.parametrize("number", ["1" + "0" * 400, "9" * 2000, "1e308", "1e999", "-1e308", "0x" + "f" * 900])
def test_huge_numbers_are_unread(number: str) -> None:
    code = (
        "pipe = DiffusionPipeline.from_pretrained('acme/base')\n"
        "pipe.load_lora_weights('acme/model', adapter_name='a')\n"
        f"pipe.set_adapters(['a'], [{number}])\npipe.fuse_lora(lora_scale={number})\n"
        f"pipe('x', height={number}, guidance_scale={number})\n"
    )
    front_matter = f"---\nlicense: mit\ninference:\n  parameters:\n    guidance_scale: {number}\n---\n"
    _, usage = read(f"{front_matter}```python\n{code}```\n".encode())
    assert usage.adapter_scale is None
    assert {"adapter_scale", "height", "guidance_scale"} <= {*usage.unread}


def test_a_card_that_is_read_to_its_end_has_no_rest() -> None:
    card, usage = read(b"---\nlicense: mit\n---\n# A model\n\n```python\npipe('x', height=512)\n```\n")
    assert (card.malformed, usage.unread, usage.arguments["height"]) == (None, (), 512)


words = st.sampled_from(
    [*PARAGRAPHS, *MARKUP, *LINES, *STATEMENTS, *FRONT_MATTER, "---\n", "```python\n", "```\n", "pipe(", ")", "\n"]
)


@fuzzed(20)
@given(st.lists(words | st.text(max_size=8), max_size=40).map("".join), st.integers(1, 60))
def test_no_card_raises_or_takes_long(text: str, times: int) -> None:
    content = (text * times).encode("utf-8", "surrogatepass")[:MAX_CARD]
    with within(seconds=SECONDS, megabytes=MEGABYTES):
        read(content)
