"""What an answer of the Hub to a publisher means, in one line that says what to do."""

import json
import re

from workspace.errors import in_one_line
from workspace.retry import is_connection_trouble, is_transient, status_of

# Payment required, insufficient storage; a Hub without storage left may also answer 403 and give the reason as text.
_NO_ROOM = frozenset({402, 507})
_ABOUT_ROOM = r"storage|quota|billing"

#: How the client begins what a Hub answered about single files of a request.
_IN_A_BATCH = "LFS batch API returned errors:"

_AGAIN = "run the same command again: it continues"


def explained(error: Exception) -> str | None:
    """What the Hub's answer means and what to do, in one line; None for an error that is a defect of ours."""
    from workspace.hub_session import RefusedAnswerError, TooLargeError

    status = status_of(error)
    if isinstance(error, RefusedAnswerError | TooLargeError):
        return f"its answer is refused: {_one_line(str(error))}"
    if isinstance(error, json.JSONDecodeError):
        return (
            "a web page came in place of its answer, such as the page of a network that asks for a log-in: check the "
            f"network and the address of the Hub (HF_ENDPOINT), then {_AGAIN}"
        )
    if status is None:
        if is_connection_trouble(error):
            return "no connection: check the network and the address of the Hub (HF_ENDPOINT), then " + _AGAIN
        if isinstance(error, ValueError) and _IN_A_BATCH in str(error):
            return f"the Hub rejected a file: {_one_line(str(error).partition(_IN_A_BATCH)[2])}; {_AGAIN}"
        return None
    reason = _reason(error)
    if status in _NO_ROOM or (status == 403 and re.search(_ABOUT_ROOM, reason, re.IGNORECASE)):
        return (
            f"the Hub has no storage left for it (status {status}): {reason or 'it gives no reason'}; free storage "
            f"there or have the limit raised, then {_AGAIN}"
        )
    if status == 401:
        return "the Hub does not accept the token: run `hf auth login`, or set HF_TOKEN to a token that may write"
    if status == 403:
        return (
            "the token may not write there: use a token with write access, or another ORG/NAME"
            f"{f' (the Hub says: {reason})' if reason else ''}"
        )
    if status == 413:
        return "a file is too large for the Hub (status 413): run again with a smaller --max-shard-size"
    if is_transient(error):
        return f"the Hub is busy or failing (status {status}): later, {_AGAIN}"
    return f"the Hub refused (status {status}): {reason or in_one_line(error, named=False)}"


def _reason(error: BaseException | None) -> str:
    """The reason in the Hub's answer, in one line; empty where it gave none."""
    while error is not None:
        if message := getattr(error, "server_message", None):
            return _one_line(str(message))
        error = error.__cause__ or error.__context__
    return ""


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]
