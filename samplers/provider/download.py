"""Downloads of images that a provider delivers as an address.

The address is a stranger's. It is asked without key, cookies or proxy, over https (http only of a local provider), at
public addresses of the internet only: what a name stands for is looked up once, checked, and that address is connected
to. A provider on this machine or network may deliver from its own address. Redirects are followed by the same rules.
"""

import ipaddress
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpcore2
import httpx2

from samplers.provider.answers import FailedError, UnansweredError, wait_of
from samplers.provider.service import CONNECT_SECONDS, MAX_IMAGE, tls
from workspace.hub_body import BoundedBody, TooLargeError
from workspace.hub_connection import PacedBackend
from workspace.printable import in_line

_MAX_REDIRECTS = 5
_READ_SECONDS = 60.0
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: IPv6 networks whose addresses stand for IPv4 ones: a private one may be meant.
_TRANSLATED = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")))


class ForbiddenAddressError(Exception):
    """An address that nothing is downloaded from."""


class Downloads:
    """Downloads what the provider at one endpoint delivers."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = urlsplit(endpoint)
        self._client = httpx2.Client(
            verify=tls(),
            follow_redirects=False,
            trust_env=False,
            timeout=httpx2.Timeout(_READ_SECONDS, connect=CONNECT_SECONDS),
            headers={"Accept-Encoding": "identity"},
        )
        transport: Any = self._client._transport
        # The address that is connected to is the one that was checked. httpx has no public place for that.
        transport._pool._network_backend = _CheckedBackend(self._own_addresses)

    def fetch(self, url: str) -> bytes:
        """The bytes at an address, at most `MAX_IMAGE`.

        Raises `FailedError` where another try may succeed, `UnansweredError` where the image is not there (any more),
        which is paid all the same, and `ForbiddenAddressError`.
        """
        for _ in range(_MAX_REDIRECTS + 1):
            self._check(url)
            try:
                with self._client.stream("GET", url) as response:
                    if response.status_code in _REDIRECTS and "Location" in response.headers:
                        url = urljoin(url, response.headers["Location"])
                        continue
                    return _content(response, url)
            except httpx2.InvalidURL as error:
                raise ForbiddenAddressError("it is no address") from error
            except TooLargeError as error:
                raise UnansweredError(f"the image is larger than {MAX_IMAGE >> 20} MiB") from error
            except httpx2.HTTPError as error:
                raise FailedError(f"the image's address gives no whole answer ({type(error).__name__})") from error
        raise UnansweredError(f"the image's address moves more than {_MAX_REDIRECTS} times")

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def _check(self, url: str) -> None:
        """Raise `ForbiddenAddressError` for anything but https, or http of a provider that has no https itself."""
        try:
            parts = urlsplit(url)
            _ = parts.port
        except ValueError as error:
            raise ForbiddenAddressError("it is no address") from error
        if parts.scheme not in {"https", self._endpoint.scheme} or not parts.hostname:
            raise ForbiddenAddressError(f"it is not https ({in_line(parts.scheme)[:20]})")
        if parts.username is not None or parts.password is not None:
            raise ForbiddenAddressError("it has a name or password")

    def _own_addresses(self) -> frozenset[str]:
        """The addresses of the endpoint, on this machine or network or not."""
        return frozenset(_addresses(self._endpoint.hostname or "", self._endpoint.port or 443))


def is_public(address: str) -> bool:
    """Whether an IP address is one of the internet that anybody may be meant by."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return is_public(str(ip.ipv4_mapped))
        if any(ip in network for network in _TRANSLATED):
            return False
    return ip.is_global and not ip.is_multicast


def _content(response: httpx2.Response, url: str) -> bytes:
    status = response.status_code
    if status in (408, 425, 429) or status >= 500:
        raise FailedError(
            f"the image's address answers with status {status}", wait_of(response.headers, datetime.now(UTC))
        )
    if status != 200:
        raise UnansweredError(f"the image's address answers with status {status}")
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    assert isinstance(response.stream, httpx2.SyncByteStream)
    try:
        return b"".join(BoundedBody(response.stream, url, encoding, MAX_IMAGE))
    except ValueError as error:
        raise UnansweredError(str(error)) from error


def _addresses(host: str, port: int) -> list[str]:
    """The IP addresses of a host; of an address itself without asking anybody. Raises `OSError`."""
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(one[4][0]) for one in found))


class _CheckedBackend(PacedBackend):
    """Connects to public addresses, and to those of the provider itself; what was checked is what is connected to."""

    def __init__(self, own: Callable[[], frozenset[str]]) -> None:
        self._own = own

    def connect_tcp(self, host: str, port: int, *args: Any, **options: Any) -> httpcore2.NetworkStream:
        try:
            addresses = _addresses(host, port)
        except OSError as error:
            raise httpcore2.ConnectError(f"{host} has no address") from error
        private = [address for address in addresses if not is_public(address)]
        if private and not self._own().issuperset(private):
            raise ForbiddenAddressError(f"it is in a network that is not public ({private[0]})")
        errors: list[Exception] = []
        for address in addresses:
            try:
                return super().connect_tcp(address, port, *args, **options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                errors.append(error)
        raise errors[-1] if errors else httpcore2.ConnectError(f"{host} has no address")
