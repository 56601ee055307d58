"""Inference providers through huggingface_hub's own client: the bytes as they are delivered, and no other host."""

from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from huggingface_hub import constants
from huggingface_hub.hf_api import InferenceProviderMapping
from huggingface_hub.inference._providers import _common

from samplers.provider.answers import FailedError, ProviderError, RefusedError, UnansweredError, judged
from samplers.provider.inference_providers import InferenceProvider, image_providers
from tests.samplers.provider import server as faults
from tests.samplers.provider.server import KEY, Provider, picture
from workspace.errors import UsageError

MODEL, PROMPT = "black-forest-labs/FLUX.1-dev", "a lighthouse"


@pytest.fixture
def service(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> Callable[..., InferenceProvider]:
    """A model that an inference provider has, behind the router that is the test's server."""
    monkeypatch.setattr(constants, "INFERENCE_PROXY_TEMPLATE", provider.origin + "/{provider}")

    def make(name: str, **parameters: Any) -> InferenceProvider:
        if name == "hf-inference":
            return InferenceProvider(name, f"{provider.origin}/hf-inference/models/x", f"hf_{KEY}", parameters)
        mapping = InferenceProviderMapping(
            provider=name, hf_model_id=MODEL, providerId="flux/dev", status="live", task="text-to-image"
        )
        monkeypatch.setitem(_common.HARDCODED_MODEL_INFERENCE_MAPPING, name, {MODEL: mapping})
        return InferenceProvider(name, MODEL, f"hf_{KEY}", parameters)

    return make


@pytest.mark.parametrize("name", ["hf-inference", "together"])
def test_bytes_are_what_the_provider_delivered(provider: Provider, service: Any, name: str) -> None:
    provider.image_format = "JPEG"
    one = service(name, width=512, height=512)
    answer = one.ask(PROMPT)
    assert provider.charged[PROMPT] == 1
    assert one.delivery(answer).content == picture(PROMPT, "JPEG")
    assert provider.requested.total() == 1


@pytest.mark.parametrize("name", ["fal-ai", "replicate"])
def test_an_image_at_an_address_is_not_downloaded_by_the_client(provider: Provider, service: Any, name: str) -> None:
    provider.delivery, provider.other_url = "url", "http://127.0.0.3:1/files/x.png"
    one = service(name)
    answer = one.ask(PROMPT)
    assert one.delivery(answer).url == "http://127.0.0.3:1/files/x.png"
    assert not provider.downloads


@pytest.mark.parametrize(
    ("fault", "meaning"),
    [
        (faults.busy(), FailedError),
        (faults.failing(503), FailedError),
        (faults.no_credit, ProviderError),
        (faults.refusal, RefusedError),
        (faults.truncated, UnansweredError),
        (faults.hung_up, UnansweredError),
        (faults.gateway, UnansweredError),
        (faults.moved, ProviderError),
    ],
)
def test_what_goes_wrong_means_what_it_means_elsewhere(
    provider: Provider, service: Any, fault: faults.Fault, meaning: type[Exception]
) -> None:
    provider.faults.append(fault)
    with pytest.raises((httpx2.HTTPError, TimeoutError)) as raised:
        service("together").ask(PROMPT)
    assert isinstance(judged(raised.value, "HF_TOKEN"), meaning)
    assert provider.requested.total() == 1


def test_a_provider_without_images_is_refused_with_those_that_have_them() -> None:
    with pytest.raises(UsageError, match=r"groq is no provider of images.*fal-ai"):
        InferenceProvider("groq", MODEL, KEY, {})
    assert "together" in image_providers()
