"""Inference providers of Hugging Face, through the InferenceClient of huggingface_hub.

Its `text_to_image` opens the image in the process that holds the key, and gives pixels, not bytes. So the same steps
are taken here with the parts of the client: the request that it prepares for a provider, sent as it sends it, and its
reading of the answer. Where that wants to download the image from another address, it is stopped
(`_ElsewhereError`): the download has rules of its own (`download`).
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx2
from huggingface_hub import InferenceClient, set_client_factory
from huggingface_hub.inference._common import RequestParameters
from huggingface_hub.inference._providers import PROVIDERS, get_provider_helper
from huggingface_hub.utils import _http

from samplers.provider.service import ANSWER_SECONDS, CONNECT_SECONDS, MAX_ANSWER, Delivery, NoImageError
from workspace.errors import HubError, UsageError, in_one_line
from workspace.hub_access import HubAccess
from workspace.hub_session import limited_to, session

_TASK = "text-to-image"


class _ElsewhereError(Exception):
    """The image is at an address of another host than the provider's."""


class InferenceProvider:
    """A model of one of the inference providers."""

    def __init__(self, provider: str, model: str, key: str, parameters: Mapping[str, Any]) -> None:
        """`parameters`: of `text_to_image`, or further ones of the provider. Raises `UsageError` for a provider without
        images or without that model, `HubError` where the Hub does not say what the provider calls it."""
        if _TASK not in PROVIDERS.get(provider, {}):  # type: ignore[call-overload]
            raise UsageError(
                f"{provider} is no provider of images: there are openai (any endpoint that speaks its images API), "
                f"{', '.join(image_providers())}"
            )
        self._parameters = dict(parameters)
        self._model = model
        timeout: Any = httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
        self._client = InferenceClient(
            provider=provider,  # type: ignore[arg-type]
            api_key=key,
            timeout=timeout,
            headers={"Connection": "close", "Accept": "image/png, */*"},
        )
        self._key, self._provider = key, provider
        session()  # the Hub, which knows what the provider calls the model, may have the user's token
        self.address: str = self._request("").url

    def ask(self, prompt: str) -> bytes:
        """As `Service.ask`."""
        request = self._request(prompt)
        with self._rules(request), limited_to(MAX_ANSWER):
            answer: bytes = self._client._inner_post(request)
        return answer

    def delivery(self, answer: bytes) -> Delivery:
        """As `Service.delivery`."""
        request = self._request("")
        try:
            with self._rules(request, reading=True):
                content = self._helper.get_response(answer, request)
        except _ElsewhereError as there:
            return Delivery(url=str(there))
        except httpx2.HTTPError:
            raise
        except Exception as error:  # whatever the reading of a stranger's answer fails with
            raise NoImageError("the answer has no image") from error
        if not isinstance(content, bytes) or not content:
            raise NoImageError("the answer has no image")
        return Delivery(content=content)

    def close(self) -> None:
        """As `Service.close`: the connections are those of all requests of huggingface_hub."""

    @property
    def _helper(self) -> Any:
        return get_provider_helper(self._client.provider, task=_TASK, model=self._model)

    def _request(self, prompt: str) -> RequestParameters:
        """The request as the client prepares it. Raises `UsageError` for a model that the provider does not have."""
        try:
            request: RequestParameters = self._helper.prepare_request(
                inputs=prompt,
                parameters=self._parameters,
                headers=self._client.headers,
                model=self._model,
                api_key=self._key,
            )
        except ValueError as error:
            raise UsageError(f"{self._provider}/{self._model}: {error}") from error
        except (httpx2.HTTPError, OSError) as error:
            raise HubError(
                f"the Hub does not say what {self._provider} calls {self._model}: {in_one_line(error)}"
            ) from error
        return request

    @contextmanager
    def _rules(self, request: RequestParameters, reading: bool = False) -> Iterator[None]:
        """A block in which the client sends to the provider's host only; `reading`: no image is downloaded in it."""
        _install()
        # The key may go to the host that it is for.
        session(HubAccess(endpoint=request.url, token=self._key))
        _here.host = urlsplit(request.url).netloc if reading else None
        _here.asking = not reading
        try:
            yield
        finally:
            _here.host, _here.asking = None, False


def image_providers() -> list[str]:
    """The providers that make images."""
    return sorted(name for name, tasks in PROVIDERS.items() if _TASK in tasks)


class _Here(threading.local):
    host: str | None = None
    asking = False


_here = _Here()


def _install() -> None:
    """Put the rules of this module on the client that huggingface_hub shares."""
    make = _http._GLOBAL_CLIENT_FACTORY
    if not getattr(make, "has_rules_of_providers", False) and not getattr(
        getattr(make, "_make", None), "has_rules_of_providers", False
    ):
        set_client_factory(_factory(make))


def _factory(make: Callable[[], httpx2.Client]) -> Callable[[], httpx2.Client]:
    def client() -> httpx2.Client:
        made = make()
        hooks = made.event_hooks
        made.event_hooks = {
            "request": [*hooks["request"], _stay],
            "response": [*hooks["response"], _refuse_moving],
        }
        return made

    client.has_rules_of_providers = True  # type: ignore[attr-defined]
    return client


def _stay(request: httpx2.Request) -> None:
    """While an answer is read, other hosts are not asked."""
    if _here.host is not None and request.url.netloc.decode() != _here.host:
        raise _ElsewhereError(str(request.url))


def _refuse_moving(response: httpx2.Response) -> None:
    """A request that is paid for is not sent again to where the provider points."""
    if _here.asking and response.request.method == "POST" and response.has_redirect_location:
        raise httpx2.HTTPStatusError("moved", request=response.request, response=response)
