"""Values are followed through the statements of a snippet; one that cannot be is unread, never a former one."""

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.card.document import Code, Document, Section
from crawler.card.snippets import Usage, read_usage

KNOWN = {"num_inference_steps", "guidance_scale", "height", "width", "negative_prompt", "timesteps", "sigmas", "prompt"}
LOAD = 'pipe = DiffusionPipeline.from_pretrained("acme/model")\n'


def usage(code: str) -> Usage:
    return read_usage(Document((Section((), (Code("python", LOAD + code),)),)), "acme/model", KNOWN)


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        ("width, height = 8, 16\npipe('a', height=height, width=width)", {"height": 16, "width": 8}),
        ("[width, height] = [8, 16]\npipe('a', height=height, width=width)", {"height": 16, "width": 8}),
        (
            "aspect_ratios = {'1:1': (8, 8), '16:9': (16, 9)}\nwidth, height = aspect_ratios['16:9']\n"
            "pipe('a', height=height, width=width)",
            {"height": 9, "width": 16},
        ),
        ("size = (8, 16)\npipe('a', height=size[1], width=size[0])", {"height": 16, "width": 8}),
        ("settings = {}\nsettings['height'] = 8\npipe('a', **settings)", {"height": 8}),
        ("settings = {'height': 8}\nsettings['height'] = 16\npipe('a', height=settings['height'])", {"height": 16}),
        (
            "settings = {'height': 8}\nsettings.update(height=16, width=8)\npipe('a', **settings)",
            {"height": 16, "width": 8},
        ),
        ("settings = {'height': 8}\nsettings.update({'height': 16})\npipe('a', **settings)", {"height": 16}),
        ("settings = dict({'height': 8}, width=8)\npipe('a', **settings)", {"height": 8, "width": 8}),
        ("settings = {**{'height': 8}, 'width': 8}\npipe('a', **settings)", {"height": 8, "width": 8}),
        ("settings = {'height': 8} | {'height': 16}\npipe('a', **settings)", {"height": 16}),
        ("settings = {'height': 8}\nsettings |= {'width': 8}\npipe('a', **settings)", {"height": 8, "width": 8}),
        ("settings = {'height': 8}\npipe('a', height=settings.get('height'))", {"height": 8}),
        ("with torch.no_grad() as g:\n    height = 8\npipe('a', height=height)", {"height": 8}),
        ("height = 8\nheight = 16\npipe('a', height=height)\nheight = 32", {"height": 16}),
        ("pipe('a', height=8 * 64, width=1024 // 2)", {"height": 512, "width": 512}),
        ("height = 8\nheight += 8\npipe('a', height=height)", {"height": 16}),
        ("pipe('a', negative_prompt='ugly, ' + 'blurry')", {"negative_prompt": "ugly, blurry"}),
        ("word = 'ugly'\npipe('a', negative_prompt=f'{word}, blurry')", {"negative_prompt": "ugly, blurry"}),
        ("pipe('a', negative_prompt=['ugly', 'ugly'])", {"negative_prompt": "ugly"}),
        ("pipe('a', negative_prompt='''\nugly\n'''.strip())", {"negative_prompt": "ugly"}),
        ("pipe('a', timesteps=[999, 500, 1])", {"timesteps": [999, 500, 1]}),
        ("pipe('a', sigmas=(1.0, 0.5))", {"sigmas": [1.0, 0.5]}),
        ("if (height := 8) > 4:\n    pass\npipe('a', height=height)", {"height": 8}),
        ("try:\n    height = 8\nexcept ValueError:\n    raise\npipe('a', height=height)", {"height": 8}),
        ("height = 8 if fast else 8\npipe('a', height=height)", {"height": 8}),
        ("class A:\n    def f(self):\n        pipe('a', height=8)", {"height": 8}),
        ("run = lambda text: pipe(text, height=8)", {"height": 8}),
        ("self.pipe = pipe\nself.pipe('a', height=8)", {"height": 8}),
        ("async def f():\n    async for x in y:\n        pipe('a', height=8)", {"height": 8}),
    ],
)
def test_values_are_followed(code: str, arguments: dict[str, Any]) -> None:
    found = usage(code)
    assert (found.arguments, found.unread) == (arguments, ())


@pytest.mark.parametrize(
    "code",
    [
        "height = 8\nheight, width = sizes\npipe('a', height=height)",
        "height = 8\nheight, *rest = (1, 2, 3)\nheight = rest\npipe('a', height=height)",
        "settings = {'height': 8}\nsettings[name] = 16\npipe('a', height=settings['height'])",
        "settings = {'height': 8}\nsettings.update(other)\npipe('a', height=settings['height'])",
        "settings = {'height': 8}\nsettings.pop('height')\npipe('a', height=settings['height'])",
        "settings = {'height': 8, **other}\npipe('a', height=settings['height'])",
        "height = 8\ndel height\npipe('a', height=height)",
        "height = 8\nwith make() as height:\n    pipe('a', height=height)",
        "height = 8\nmatch x:\n    case 1:\n        height = 16\npipe('a', height=height)",
        "height = 8\ntry:\n    height = 16\nexcept ValueError:\n    height = 32\npipe('a', height=height)",
        "height = 8\nfor x in y:\n    pipe('a', height=height)\n    height = height * 2",
        "height = 8\nwhile x:\n    pipe('a', height=height)\n    height = 16",
        "height = 8\nrun = lambda height: pipe('a', height=height)",
        "height = 8\nheight = 1 / 0\npipe('a', height=height)",
        "height = 10 ** 10\npipe('a', height=height)",
        "pipe('a', height=[8, 16])",
        "pipe('a', height='8')",
        "pipe('a', height=True)",
        "sizes = [8, 16]\nsizes.reverse()\npipe('a', height=sizes[0])",
        "height = 8 if fast else 16\npipe('a', height=height)",
    ],
)
def test_a_value_that_cannot_be_followed_is_unread(code: str) -> None:
    found = usage(code)
    assert (found.arguments, found.unread) == ({}, ("height",))


def test_prompts_and_seeds_are_never_unread() -> None:
    code = "pipe(prompt=text, generator=torch.manual_seed(3), latents=noise, callback_on_step_end=f, height=8)"
    assert usage(code).unread == ()


def test_embeddings_of_a_negative_prompt_are_an_unread_negative_prompt() -> None:
    found = read_usage(
        Document((Section((), (Code("", LOAD + "pipe(prompt_embeds=a, negative_prompt_embeds=b)"),)),)),
        "acme/model",
        {"prompt_embeds", "negative_prompt_embeds"},
    )
    assert found.unread == ("negative_prompt",)


@pytest.mark.parametrize(
    "code",
    [
        "a = 1\n" * 20_000,
        "".join(f"if a{n}:\n  a{n} = {n}\n" for n in range(8000)),
        "".join(f"a{n} = {n}\nif x:\n  b = {n}\n" for n in range(5000)),
        "x = a" + ".to('cuda')" * 900,
        "x = " + "+".join(["1"] * 3000),
        "a = 'x'\n" + "a = a + a\n" * 5000,
        "a = {" + ", ".join(f"'k{n}': {n}" for n in range(7000)) + "}\n" + "a['b'] = 1\n" * 3000,
        "a = [" + "1, " * 40_000 + "]\n",
        "a = {}\n" + "".join(f"a['k{n}'] = a\n" for n in range(5000)),
        "x = " + "(" * 80 + ")" * 80 + "\n" + "f(a=1, " + "b=[" * 50 + "]" * 50 + ")\n",
        "pipe('a', height=8)\n" * 6000,
        "".join("  " * n + "for a in b:\n" for n in range(90)) + "  " * 90 + "pass\n" + "a = 1\n" * 9000,
    ],
)
def test_hostile_code_is_read_in_bounded_time(code: str) -> None:
    start = time.process_time()
    usage(code)
    assert time.process_time() - start < 20


def forms(text: str) -> st.SearchStrategy[str]:
    """One of the forms between semicolons; a backslash is a new line."""
    return st.sampled_from([form.strip().replace("\\", "\n  ") for form in text.split(";")])


EXPRESSIONS = st.recursive(
    forms(
        "a; b; pipe; pipe.scheduler; pipe.scheduler.config; [1, 2]; (1, 'x'); {}; {'a': 1}; None; 8; -1.5; 'x'; True"
        "; ...; b'x'; DDIMScheduler; {**a, 'b': b}; []; slice; 1e999; 2j"
    ),
    lambda inner: st.builds(
        str.format,
        forms(
            "{0}[{1}]; {0}.update({1}); dict({0}, x={1}); {0}({1}, height={0}, **{1}); ({0}, {1}); f'{{{0}}}'; [*{0}]"
            "; {0}.from_config({1}, shift={0}); {0} | {1}; {0} * {1}; -({0}); {0} if {1} else {0}; {{{0}: {1}}}"
            "; {0}.load_lora_weights({1}, weight_name={1}); {0}.set_adapters({0}, {1}); {0}.fuse_lora(lora_scale={1})"
            "; (a := {0}); {0}.load_textual_inversion({1}, token={0}); lambda a={0}: {1}"
            "; {0}('x', cross_attention_kwargs={1})"
            "; hf_hub_download({0}, {1}); {0}.append({1}); {0}.get({1})"
        ),
        inner,
        inner,
    ),
    max_leaves=5,
)
STATEMENTS = st.builds(
    str.format,
    forms(
        "a = {0}; a, b = {0}; a[{0}] = b; pipe.scheduler = {0}; a += {0}; del a[{0}]; pipe(height={0}); a: int = {0}"
        "; if a:\\a = {0}; for a in b:\\pipe = {0}; with {0} as a:\\pass; {0}; (a, *b) = {0}; x.y = {0}"
        "; while {0}:\\a = b; def f(a, b={0}):\\return pipe(height=b); from x import {0} as c; b = [a for a in {0}]"
    ),
    EXPRESSIONS,
)


@settings(max_examples=200)
@given(st.lists(STATEMENTS, max_size=8))
def test_no_program_raises_and_what_is_read_can_be_written(statements: list[str]) -> None:
    for code in ("\n".join(statements), "\n".join(f"{line}\npipe('a', height=a, width=b)" for line in statements)):
        found = usage(code)
        json.dumps([found.arguments, found.scheduler_config, found.adapter_scale, found.unread], allow_nan=False)
