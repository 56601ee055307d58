"""The options of sampling from providers, beside those of all sampling."""

from dataclasses import dataclass

from workspace.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class RemoteOptions:
    """Which remote generators are sampled, and what that may cost. Raises `UsageError` for values that make no
    sense."""

    remote: tuple[str, ...]
    """TOML files, PROVIDER/MODEL, or names of generators that come with this project."""
    max_images: int | None = None
    """Images that may be paid for, of all these generators and all runs on the workspace; None: no limit."""
    max_cost: float | None = None
    """US dollars, likewise."""
    requests: int = 4
    """Requests that are on their way together."""
    repeat_unanswered: int = 0
    """How often a request is sent again whose answer did not come, and which may have been paid."""

    def __post_init__(self) -> None:
        if not self.remote:
            raise UsageError("name a remote generator: --remote PROVIDER/MODEL, or a TOML file")
        if not 1 <= self.requests <= 64:
            raise UsageError("--requests must be from 1 to 64")
        if self.repeat_unanswered < 0:
            raise UsageError("--repeat-unanswered must be 0 or more")
