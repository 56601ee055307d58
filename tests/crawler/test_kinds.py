import pytest

from crawler.kinds import is_test_repository, kind_of


@pytest.mark.parametrize(
    ("tags", "paths", "kind"),
    [
        # A merge of LoRAs into a whole pipeline keeps their tag.
        (("lora",), ("model_index.json", "unet/config.json"), "checkpoint"),
        (("lora",), ("style.safetensors",), "lora"),
        (("lora",), None, "lora"),
        (("textual_inversion",), ("style.pt",), "textual-inversion"),
        ((), ("pytorch_lora_weights.bin",), "lora"),
        ((), ("learned_embeds.safetensors",), "textual-inversion"),
        (("base_model:adapter:a/b",), ("style.safetensors",), "lora"),
        (("base_model:adapter:a/b",), None, "lora"),
        (("base_model:adapter:a/b",), ("config.json", "diffusion_pytorch_model.safetensors"), "checkpoint"),
        (("base_model:adapter:a/b",), ("ip-adapter-plus_sd15.safetensors",), "checkpoint"),
        (("base_model:finetune:a/b",), ("style.safetensors",), "checkpoint"),
        ((), ("model.gguf",), "checkpoint"),
        ((), None, "checkpoint"),
    ],
)
def test_files_tell_the_kind_before_tags(tags: tuple[str, ...], paths: tuple[str, ...] | None, kind: str) -> None:
    assert kind_of(tags, paths) == kind


@pytest.mark.parametrize(
    ("name", "is_test"),
    [
        ("hf-internal-testing/tiny-stable-diffusion-pipe", True),
        ("hf-internal-testing/unet-variant", True),
        ("diffusers-internal-dev/private-model", True),
        ("peft-internal-testing/tiny-lora", True),
        ("hf-tiny-model-private/tiny-random-X", True),
        ("fusing/unclip-image-variations", True),
        ("echarlaix/tiny-random-stable-diffusion-xl", True),
        ("someone/flux-tiny-random", True),
        ("segmind/tiny-sd", False),
        ("someone/tiny-randomness", False),
        ("madebyollin/taesd", False),
        ("stabilityai/sd-turbo", False),
        ("demo/zoo-tiny", False),
        ("gpt2", False),
    ],
)
def test_models_for_software_tests_are_known_by_their_names(name: str, is_test: bool) -> None:
    assert is_test_repository(name) is is_test
