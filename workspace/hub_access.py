"""Which Hub is used, and with which token: a parameter of everything that sends requests to it."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class HubAccess:
    """A Hub and a token.

    `endpoint` None: `HF_ENDPOINT`, else https://huggingface.co. `token` None: `HF_TOKEN`, else the token that
    `hf auth login` stored, else none.
    """

    endpoint: str | None = None
    token: str | None = field(default=None, repr=False)
