"""The Hub's answer to requests that are not for it (`workspace/border.py`)."""

from localhub import web
from workspace.border import MISDIRECTED


def refuse(status: int, host: str) -> web.Json:
    """An error in the Hub's form."""
    message = (
        f"this Hub has no name {host!r}; start it with --name to give it another one"
        if status == MISDIRECTED
        else "this Hub answers no pages of other sites"
    )
    words = message.encode("ascii", "backslashreplace").decode()
    return web.Json({"error": words}, status, {"X-Error-Message": words})
