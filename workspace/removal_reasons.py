"""Why something is taken out of a workspace: a closed set."""

from typing import Literal, get_args

Reason = Literal["licence", "author-request", "illegal-content", "copyright", "privacy", "quality", "other"]
REASONS: tuple[Reason, ...] = get_args(Reason)
