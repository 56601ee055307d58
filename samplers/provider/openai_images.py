"""Providers that speak OpenAI's images API, through the `openai` package."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import httpx2

from samplers.provider.service import (
    ANSWER_SECONDS,
    CONNECT_SECONDS,
    MAX_ANSWER,
    MAX_VALUES,
    Delivery,
    NoImageError,
    tls,
)
from workspace.hub_body import BoundedBody
from workspace.hub_connection import pace
from workspace.json_text import load_json

#: What an answer says of an image, beside the image.
_NOTES = ("revised_prompt",)


class OpenAIImages:
    """A model behind `POST {endpoint}/images/generations`."""

    def __init__(self, endpoint: str, model: str, key: str, parameters: Mapping[str, Any]) -> None:
        """`parameters`: of the request, beside model and prompt."""
        from openai import OpenAI

        self.address = endpoint
        self._model, self._parameters = model, dict(parameters)
        # A request is sent once (retries are ours, with the ledger), to this address only, on a connection of its own:
        # on one that the server closes meanwhile it would not be known whether it was sent.
        client = httpx2.Client(
            verify=tls(),
            follow_redirects=False,
            timeout=httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            limits=httpx2.Limits(max_keepalive_connections=0),
            event_hooks={"response": [_bound]},
        )
        pace(client)
        self._client: OpenAI = OpenAI(base_url=endpoint, api_key=key, max_retries=0, http_client=client)

    def ask(self, prompt: str) -> bytes:
        """As `Service.ask`."""
        raw = self._client.images.with_raw_response.generate(
            prompt=prompt, model=self._model, n=1, extra_body=self._parameters
        )
        return raw.http_response.content

    def delivery(self, answer: bytes) -> Delivery:
        """As `Service.delivery`."""
        try:
            said = load_json(answer, MAX_VALUES)
            image = said["data"][0]
            notes = {name: str(image[name]) for name in _NOTES if image.get(name)}
            if image.get("b64_json"):
                return Delivery(content=_decoded(image["b64_json"]), notes=notes)
            if isinstance(image.get("url"), str):
                return Delivery(url=image["url"], notes=notes)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError, binascii.Error) as error:
            is_page = answer.lstrip()[:1] == b"<"
            what = "the answer is a page, not JSON: look at the endpoint" if is_page else "the answer has no image"
            raise NoImageError(what) from error
        raise NoImageError("the answer has no image")

    def close(self) -> None:
        """As `Service.close`."""
        self._client.close()


def _decoded(text: str) -> bytes:
    """Base64, as some servers send it: with line breaks, or as a data URL. Raises `ValueError`, `AttributeError`."""
    return base64.b64decode("".join(text.partition(";base64,")[2].split() or text.split()), validate=True)


def _bound(response: httpx2.Response) -> None:
    """Limit the body of an answer."""
    encoding = response.headers.pop("Content-Encoding", "identity").strip().lower()
    if encoding != "identity":
        response.headers.pop("Content-Length", None)
    assert isinstance(response.stream, httpx2.SyncByteStream)
    try:
        response.stream = BoundedBody(response.stream, str(response.request.url), encoding, MAX_ANSWER)
    except ValueError as error:
        raise httpx2.DecodingError(str(error)) from error
