"""How snippets load an adapter: its file and base, its scale, and the embeddings beside it."""

import pytest

from crawler.card.document import Code, Document, Section
from crawler.card.snippets import Usage, read_usage

BASE = 'pipe = DiffusionPipeline.from_pretrained("acme/base", torch_dtype=torch.float16)\n'
LORA = 'pipe.load_lora_weights("acme/model", weight_name="w.safetensors", adapter_name="own")\n'
KNOWN = {"num_inference_steps", "height", "prompt", "cross_attention_kwargs", "joint_attention_kwargs"}


def usage(*snippets: str) -> Usage:
    sections = tuple(Section((), (Code("python", code),)) for code in snippets)
    return read_usage(Document(sections), "acme/model", KNOWN)


@pytest.mark.parametrize(
    ("code", "scale"),
    [
        ("pipe('a')", None),
        ("pipe.fuse_lora()\npipe('a')", None),
        ("pipe.fuse_lora(lora_scale=0.125)\npipe('a')", 0.125),
        ("scale = 0.5\npipe.fuse_lora(lora_scale=scale)\npipe('a')", 0.5),
        ("pipe.set_adapters('own', adapter_weights=0.5)\npipe('a')", 0.5),
        ("pipe.set_adapters(['own'], [0.5])\npipe('a')", 0.5),
        ("pipe.set_adapters(['other', 'own'], adapter_weights=[1.0, 0.5])\npipe('a')", 0.5),
        ("pipe.set_adapters('own', 0.5)\npipe.fuse_lora(lora_scale=0.5)\npipe('a')", 0.25),
        ("pipe.set_adapters('own', 0.5)\npipe.set_adapters('own', 0.75)\npipe('a')", 0.75),
        ("pipe.fuse_lora(lora_scale=0.5)\npipe.unfuse_lora()\npipe('a')", None),
        ("pipe('a', cross_attention_kwargs={'scale': 0.5})", 0.5),
        ("pipe('a', joint_attention_kwargs={'scale': 1})", 1.0),
        ("pipe('a', attention_kwargs=dict(scale=0.5))", 0.5),
        ("pipe('a')\npipe.fuse_lora(lora_scale=0.5)", None),
        ("pipe.unet.set_adapters('own', 0.5)\npipe('a')", 0.5),
    ],
)
def test_the_scale_of_the_adapter_is_read(code: str, scale: float | None) -> None:
    found = usage(BASE + LORA + code)
    assert (found.adapter_scale, found.unread, found.arguments) == (scale, (), {})


@pytest.mark.parametrize(
    "code",
    [
        "pipe.fuse_lora(lora_scale=slider)\npipe('a')",
        "pipe.set_adapters(['other', 'own'], adapter_weights=weights)\npipe('a')",
        "pipe.set_adapters(names, adapter_weights=[1.0, 0.5])\npipe('a')",
        "pipe.set_adapters('own', {'unet': 0.5})\npipe('a')",
        "pipe('a', cross_attention_kwargs={'scale': slider})",
        "pipe.fuse_lora(lora_scale=0.5)\nif strong:\n    pipe.fuse_lora(lora_scale=0.9)\npipe('a')",
    ],
)
def test_a_scale_that_cannot_be_followed_is_unread(code: str) -> None:
    found = usage(BASE + LORA + code)
    assert (found.adapter_scale, found.unread) == (None, ("adapter_scale",))


def test_other_attention_arguments_are_unread() -> None:
    found = usage(BASE + LORA + "pipe('a', cross_attention_kwargs={'scale': 0.5, 'gligen': x})")
    assert (found.adapter_scale, found.unread) == (0.5, ("cross_attention_kwargs",))


@pytest.mark.parametrize(
    ("load", "file"),
    [
        ('pipe.load_lora_weights("acme/model", weight_name="w.safetensors", subfolder="loras")', "loras/w.safetensors"),
        ('pipe.load_lora_weights(hf_hub_download("acme/model", "w.safetensors", subfolder="a"))', "a/w.safetensors"),
        ('pipe.load_lora_weights(load_file(hf_hub_download(repo_id="acme/model", filename="w.bin")))', "w.bin"),
        ('pipe.load_lora_weights("https://huggingface.co/acme/model/resolve/main/a/w.bin?download=true")', "a/w.bin"),
        ('pipe.load_lora_weights(pretrained_model_name_or_path_or_dict="acme/model", weight_name="w.bin")', "w.bin"),
        ('pipe.unet.load_attn_procs("acme/model", weight_name="w.bin")', "w.bin"),
        ('pipe.load_lora_weights("acme/model")', None),
        ('pipe.load_lora_weights("w.safetensors")', None),
        ('repo = "acme/" + "model"\npipe.load_lora_weights(repo, weight_name="w.bin")', "w.bin"),
    ],
)
def test_the_file_and_the_base_of_an_adapter_are_read(load: str, file: str | None) -> None:
    found = usage(f"{BASE}{load}\npipe('a', height=8)")
    assert (found.weight_name, found.base_model, found.arguments) == (file, "acme/base", {"height": 8})


def test_the_base_is_the_model_that_the_adapter_is_loaded_into() -> None:
    code = 'other = DiffusionPipeline.from_pretrained("acme/other")\nother("a", height=16)\n'
    assert usage(code + BASE + LORA + "pipe('a')").base_model == "acme/base"
    assert usage(
        'base = "acme/base"\nother = "acme/other"\n' + BASE.replace('"acme/base"', "base") + LORA
    ).base_model == ("acme/base")
    assert usage(BASE + 'pipe.load_lora_weights("acme/elsewhere")\npipe("a")').base_model is None


def test_file_scale_and_settings_come_from_the_same_call() -> None:
    second = LORA.replace("w.safetensors", "v.safetensors") + "pipe.fuse_lora(lora_scale=0.5)\npipe('a', height=8)"
    found = usage(BASE + LORA + "pipe('a')", BASE + second)
    assert (found.weight_name, found.adapter_scale, found.arguments) == ("v.safetensors", 0.5, {"height": 8})


@pytest.mark.parametrize(
    "load",
    [
        'state_dict = load_file(hf_hub_download(repo_id="acme/model", filename="e.safetensors", repo_type="model"))\n'
        'pipe.load_textual_inversion(state_dict["clip_l"], token=["<s0>", "<s1>"], tokenizer=pipe.tokenizer)\n'
        'pipe.load_textual_inversion(state_dict["clip_g"], token=["<s0>", "<s1>"], tokenizer=pipe.tokenizer_2)\n',
        'path = hf_hub_download("acme/model", "e.safetensors")\nstate_dict = safetensors.torch.load_file(path)\n'
        'tokens = ["<s0>", "<s1>"]\npipe.load_textual_inversion(state_dict["text_encoders_0"], tokens=tokens)\n',
        'pipe.load_textual_inversion("acme/model", weight_name="e.safetensors", token="<s0>")\n'
        'pipe.load_textual_inversion("acme/model", weight_name="e.safetensors", token="<s1>")\n',
    ],
)
def test_embeddings_beside_the_adapter_are_read(load: str) -> None:
    found = usage(BASE + LORA + load + "pipe('a <s0><s1>', height=8)")
    assert (found.weight_name, found.embedding_file, found.tokens) == (
        "w.safetensors",
        "e.safetensors",
        ("<s0>", "<s1>"),
    )
    assert (found.base_model, found.arguments) == ("acme/base", {"height": 8})


def test_embeddings_without_an_adapter_are_the_model() -> None:
    code = 'pipe.load_textual_inversion("acme/model", weight_name="e.bin", subfolder="a", token="<cat>")\npipe("a")'
    found = usage(BASE + code)
    assert (found.weight_name, found.embedding_file, found.tokens) == ("a/e.bin", None, ("<cat>",))


def test_tokens_that_cannot_be_followed_are_unread() -> None:
    found = usage(BASE + 'pipe.load_textual_inversion("acme/model", token=make())\npipe("a")')
    assert (found.tokens, found.unread) == ((), ("trigger_words",))


def test_an_adapter_of_another_repository_is_not_this_one() -> None:
    load = 'pipe = DiffusionPipeline.from_pretrained("acme/model")\n'
    load += 'pipe.load_lora_weights("acme/other", weight_name="o.bin")\n'
    found = usage(load + "pipe.fuse_lora(lora_scale=0.5)\npipe('a', cross_attention_kwargs={'scale': 0.5}, height=8)")
    assert (found.adapter_scale, found.weight_name, found.arguments) == (None, None, {"height": 8})


def test_the_base_of_a_textual_inversion_is_the_pipeline_that_it_is_loaded_into() -> None:
    code = "pipe = DiffusionPipeline.from_pretrained('acme/sd')\npipe.load_textual_inversion('me/toy')\npipe('a <toy>')"
    document = Document((Section((), (Code("", code),)),))
    assert read_usage(document, "me/toy", {"prompt"}).base_model == "acme/sd"
