"""Who may control the server: set faults (`/__faults__`) and see its requests (`/__requests__`).

Only tests and the demo do. They start the server with `--control` and a secret in its environment, and send the secret
with each such request, from this machine. For everybody else there are no such addresses.
"""

import hmac
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

#: The environment variable with the secret.
VARIABLE = "CF_HUB_CONTROL"


class Control:
    """Decides by a secret; without one nobody controls the server."""

    def __init__(self, secret: str | None = None) -> None:
        self._expected = f"Bearer {secret}".encode() if secret else None

    def allows(self, scope: Mapping[str, Any]) -> bool:
        """Whether a request (its ASGI scope) comes from this machine and has the secret."""
        client = scope.get("client")
        if self._expected is None or client is None or not ip_address(client[0]).is_loopback:
            return False
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        return hmac.compare_digest(given, self._expected)
