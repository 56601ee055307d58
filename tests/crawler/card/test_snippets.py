import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.card.markdown import parse_markdown
from crawler.card.snippets import Usage, read_usage
from workspace.printable import printable_values

KNOWN = {"num_inference_steps", "guidance_scale", "height", "width", "negative_prompt", "true_cfg_scale", "prompt"}
NAME = "acme/model"


def read_body(body: str) -> Usage:
    return read_usage(parse_markdown(body), NAME, KNOWN)


def usage(*snippets: str, language: str = "python") -> Usage:
    return read_body("\n".join(f"text\n```{language}\n{code}\n```\n" for code in snippets))


LOAD = 'from diffusers import DiffusionPipeline\npipe = DiffusionPipeline.from_pretrained("acme/model").to("cuda")\n'


@pytest.mark.parametrize(
    "call",
    [
        'image = pipe("a", num_inference_steps=4, guidance_scale=2.5).images[0]',
        'steps = 4\nscale = 2.5\npipe("a", num_inference_steps=steps, guidance_scale=scale)',
        'settings = {"num_inference_steps": 4, "guidance_scale": 2.5}\npipe("a", **settings)',
        'settings = dict(num_inference_steps=4, guidance_scale=2.5)\npipe("a", **settings)',
        'for seed in range(3):\n    with torch.inference_mode():\n        pipe("a", num_inference_steps=4, '
        "guidance_scale=2.5, generator=torch.manual_seed(seed))",
        "def make(prompt):\n    return pipe(prompt, num_inference_steps=4, guidance_scale=2.5)",
        'DiffusionPipeline.from_pretrained("acme/model")("a", num_inference_steps=4, guidance_scale=2.5)',
    ],
)
def test_settings_are_found_in_every_form_of_a_call(call: str) -> None:
    assert usage(LOAD + call).arguments == {"num_inference_steps": 4, "guidance_scale": 2.5}


def test_arguments_that_the_pipeline_does_not_have_are_skipped() -> None:
    assert usage(LOAD + 'pipe("a", true_cfg_scale=4.0, wings=2)').arguments == {"true_cfg_scale": 4.0}


def test_values_that_are_not_literals_are_skipped() -> None:
    assert usage(LOAD + 'pipe("a", height=args.height, width=side * 8, num_inference_steps=int("3"))').arguments == {}


def test_names_are_kept_from_one_snippet_to_the_next() -> None:
    assert usage(LOAD, 'image = pipe("a", height=512).images[0]').arguments == {"height": 512}


def test_the_first_call_with_settings_counts() -> None:
    found = usage(LOAD + 'pipe("a")\npipe("a", height=512)\npipe("a", height=768)')
    assert found.arguments == {"height": 512}


def test_calls_of_another_model_are_skipped() -> None:
    other = 'refiner = DiffusionPipeline.from_pretrained("acme/refiner")\nrefiner("a", height=1)\n'
    assert usage(other + LOAD + 'pipe("a", height=512)').arguments == {"height": 512}


def test_image_to_image_calls_are_skipped() -> None:
    code = 'pipe = StableDiffusionImg2ImgPipeline.from_pretrained("acme/model")\npipe("a", image=x, height=512)'
    assert usage(code).arguments == {}


@pytest.mark.parametrize(
    "code",
    [
        LOAD + 'pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)\npipe("a")',
        'scheduler = DDIMScheduler.from_pretrained("acme/model", subfolder="scheduler")\n'
        'pipe = DiffusionPipeline.from_pretrained("acme/model", scheduler=scheduler)\npipe("a")',
        LOAD + 'pipe.scheduler = diffusers.DDIMScheduler.from_config(pipe.scheduler.config)\npipe("a")',
    ],
)
def test_the_scheduler_that_is_set_before_the_call_counts(code: str) -> None:
    assert usage(code).scheduler == "DDIMScheduler"


def test_a_scheduler_that_is_set_after_the_call_does_not_count() -> None:
    assert usage(LOAD + 'pipe("a", height=8)\npipe.scheduler = DDIMScheduler()').scheduler is None


def test_a_base_with_the_adapter_is_this_model() -> None:
    found = usage(
        'pipe = AutoPipelineForText2Image.from_pretrained("acme/base")\n'
        'pipe.load_lora_weights("acme/model", weight_name="style.safetensors")\n'
        'pipe("a", num_inference_steps=9)\n'
    )
    assert found.weight_name == "style.safetensors"
    assert found.arguments == {"num_inference_steps": 9}


def test_the_token_of_a_textual_inversion_is_found() -> None:
    found = usage(LOAD + 'pipe.load_textual_inversion("acme/model", token="<cat>")')
    assert found.token == "<cat>"


def test_interpreter_prompts_and_notebook_commands_are_removed() -> None:
    assert usage("!pip install diffusers\n%cd x\n" + LOAD + 'pipe("a", height=8)').arguments == {"height": 8}
    shell = "\n".join(f">>> {line}" for line in LOAD.splitlines()) + '\n>>> pipe("a",\n...      height=8)\nanswer'
    assert usage(shell).arguments == {"height": 8}


@pytest.mark.parametrize("code", ["pipe(", "def", "height=8 width=9", "\x00", "(" * 300 + ")" * 300, "a" * 60_000])
def test_a_snippet_that_is_not_python_is_skipped(code: str) -> None:
    assert usage(code, LOAD + 'pipe("a", height=8)').arguments == {"height": 8}


@pytest.mark.parametrize("language", ["", "py", "py3", "python3", "Python", "python title=x", "{.python}", "pycon"])
def test_python_has_many_names(language: str) -> None:
    assert usage(LOAD + 'pipe("a", height=8)', language=language).arguments == {"height": 8}


@pytest.mark.parametrize("language", ["bash", "json", "yaml", "pytorch", "text"])
def test_snippets_in_other_languages_are_not_read(language: str) -> None:
    assert usage(LOAD + 'pipe("a", height=8)', language=language) == Usage()


@pytest.mark.parametrize(
    ("fence", "prefix"),
    [("```", "> "), ("```", "  "), ("```", "    "), ("", "    "), ("", "\t"), ("", ">     "), ("", "      ")],
)
@pytest.mark.parametrize("above", ["text\n", "- item\n", "1. item\n"])
def test_code_is_read_in_quotes_in_lists_and_where_it_is_indented(fence: str, prefix: str, above: str) -> None:
    code = f'{LOAD}def make(prompt):\n    return pipe(prompt, height=8)\n\nmake("a")'
    lines = [fence, *code.splitlines(), fence] if fence else code.splitlines()
    inside = "" if above == "text\n" or prefix.startswith(">") else "    "
    body = f"{above}\n" + "".join(f"{inside}{prefix}{line}\n" for line in lines) + "\ntext\n"
    assert read_body(body).arguments == {"height": 8}


def test_a_session_in_a_quote_is_read() -> None:
    shell = "".join(f"> >>> {line}\n" for line in [*LOAD.splitlines(), 'pipe("a", height=8)'])
    assert read_body(f"> ```pycon\n{shell}> output\n> ```\n").arguments == {"height": 8}


def test_nested_lists_do_not_grow() -> None:
    bomb = "a0 = [1, 1]\n" + "\n".join(f"a{n} = [a{n - 1}, a{n - 1}]" for n in range(1, 60))
    assert usage(LOAD + bomb + '\npipe("a", height=a59)').arguments == {}


@given(st.text(max_size=200))
def test_no_text_raises(text: str) -> None:
    read_body(text)
    read_body(f"```python\n{text}\n```")


literals = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.binary(max_size=3)


@given(st.dictionaries(st.sampled_from(sorted(KNOWN)), literals), st.booleans())
def test_every_literal_is_read_exactly_or_skipped(given_settings: dict[str, object], unpacked: bool) -> None:
    given_ = (
        f"**{given_settings!r}"
        if unpacked
        else ", ".join(f"{name}={value!r}" for name, value in given_settings.items())
    )
    code = f"{LOAD}\npipe({given_})"
    ast.parse(code)
    found = usage(code)
    assert found.arguments.items() <= printable_values(given_settings).items()
    for name, value in given_settings.items():
        assert name == "prompt" or name in {*found.arguments, *found.unread}
        if value is None or (type(value) is int and 1 <= value <= 1000 and name != "negative_prompt"):
            assert name in found.arguments


@pytest.mark.parametrize(
    "call",
    [
        'pipe("a", image=photo, height=512)',
        'pipe("a", height=512, denoising_end=0.8)',
        'AutoPipelineForImage2Image.from_pipe(pipe)("a", height=512)',
        'pipe_prior = DiffusionPipeline.from_pretrained("acme/x-prior")\npipe_prior("a", height=512)',
        'DiffusionPipeline.from_pretrained("acme/base")("a", height=512)',
    ],
)
def test_calls_that_make_no_whole_image_from_text_are_skipped(call: str) -> None:
    assert usage(LOAD + call).arguments == {}


def test_a_card_with_only_another_models_code_has_no_settings() -> None:
    assert usage('pipe = DiffusionPipeline.from_pretrained("acme/other")\npipe("a", height=512)') == Usage()


def test_a_copy_under_another_owner_is_this_model() -> None:
    assert usage('x = DiffusionPipeline.from_pretrained("first/model")\nx("a", height=512)').arguments == {
        "height": 512
    }


def test_a_component_of_this_model_in_another_pipeline_is_this_model() -> None:
    code = 'unet = UNet2DConditionModel.from_pretrained("acme/model")\n'
    code += 'pipe = DiffusionPipeline.from_pretrained("acme/base", unet=unet)\npipe("a", height=512)'
    assert usage(code).arguments == {"height": 512}


def test_a_call_with_a_prompt_only_sets_nothing() -> None:
    assert usage(LOAD + 'pipe(prompt="a")\npipe(prompt="a", height=512)').arguments == {"prompt": "a", "height": 512}


@pytest.mark.parametrize(
    "code",
    [
        "height = 8\nfor height in (8, 16):\n    pipe('a', height=height)",
        "height = 8\nheight += more\npipe('a', height=height)",
        "if fast:\n    height = 8\nelse:\n    height = 16\npipe('a', height=height)",
        "height = 8\nif fast:\n    height = 16\npipe('a', height=height)",
        "height = 8\ndef make(height):\n    return pipe('a', height=height)",
        "height = 8\nimages = [pipe('a', height=height) for height in sizes]",
    ],
)
def test_a_name_that_depends_on_a_loop_branch_or_caller_is_unread(code: str) -> None:
    found = usage(LOAD + code)
    assert (found.arguments, found.unread) == ({}, ("height",))


@pytest.mark.parametrize(
    "code",
    [
        "def make(prompt, height=8):\n    return pipe(prompt, height=height)",
        "def make(prompt, *, height: int = 8):\n    return pipe(prompt, height=height)",
        "height: int = 8\npipe('a', height=height)",
    ],
)
def test_a_default_and_an_annotated_name_have_a_value(code: str) -> None:
    assert usage(LOAD + code).arguments == {"height": 8}


def test_a_downloaded_file_of_this_model_is_the_adapter() -> None:
    found = usage(
        'pipe = DiffusionPipeline.from_pretrained("acme/base")\n'
        'pipe.load_lora_weights(hf_hub_download("acme/model", "fast.safetensors"))\npipe("a", height=8)'
    )
    assert (found.weight_name, found.arguments) == ("fast.safetensors", {"height": 8})


def test_a_syntax_error_costs_only_its_line() -> None:
    assert usage(LOAD + "path = find(a='x' b='y')\npip3 install it\npipe('a', height=8)").arguments == {"height": 8}


@pytest.mark.parametrize(
    ("text", "unread"),
    [
        ("- Clip skip: 2", ("clip_skip",)),
        ("**Clip Skip**: 2", ("clip_skip",)),
        ("Steps: 20, Clip skip: 2, ENSD: 3", ("clip_skip",)),
        ("Clip skip: 1", ()),
        ("Clip it, skip it.", ()),
    ],
)
def test_the_clip_skip_of_web_uis_is_unread(text: str, unread: tuple[str, ...]) -> None:
    assert read_usage(parse_markdown(text), NAME, {"clip_skip"}).unread == unread
    assert read_usage(parse_markdown(text), NAME, KNOWN).unread == ()
    code = f"{text}\n```python\n{LOAD}pipe('a', clip_skip=3)\n```"
    found = read_usage(parse_markdown(code), NAME, {"clip_skip"})
    assert (found.arguments, found.unread) == ({"clip_skip": 3}, ())


def test_a_value_out_of_range_is_unread() -> None:
    found = usage(LOAD + "pipe('a', num_inference_steps=0, guidance_scale=-1, height=None, negative_prompt='')")
    assert found.arguments == {"height": None, "negative_prompt": ""}
    assert found.unread == ("num_inference_steps", "guidance_scale")
