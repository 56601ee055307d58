"""Which Hub is asked, and with which token: passed to everything that talks to it."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class HubAccess:
    """A Hub and a token.

    `endpoint` None: `HF_ENDPOINT`, else https://huggingface.co. `token` None: `HF_TOKEN`, else what `hf auth login`
    stored, else none.
    """

    endpoint: str | None = None
    token: str | None = field(default=None, repr=False)
