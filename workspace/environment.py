"""The environment of processes that open untrusted files: without secrets, offline."""

import os
import re
from collections.abc import Mapping

# Names of variables that hold secrets, or the address of a proxy, which may contain a password.
_SECRET = re.compile(r"TOKEN|SECRET|PASSW|CREDENTIAL|AUTH|PRIVATE|(^|_)KEY($|_)|_PROXY$", re.IGNORECASE)

_OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    "TRANSFORMERS_OFFLINE": "1",
}


def without_secrets(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment for a child process: without secrets, set to work offline."""
    return {**{name: value for name, value in environment.items() if not _SECRET.search(name)}, **_OFFLINE}
