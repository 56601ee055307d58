"""The answers: the page, its sections as they are now, images, JSON, and metrics.

Names and errors are texts of strangers. The page runs its own script and style and no other, whatever gets into it, and
is shown in no frame; an image is sent as an image, whatever it contains.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from samplers.status.display import shards_text, time_shares
from samplers.status.json_form import as_json
from samplers.status.live.metrics import metrics_text
from samplers.status.live.snapshots import Snapshot, Snapshots
from workspace.border import MISDIRECTED, Border
from workspace.layout import Workspace
from workspace.number_text import duration_text
from workspace.pages import page_templates, policy_hash, source, style
from workspace.printable import in_line, printable

#: Failed generators in the page; `cf-status` names all.
FAILURES = 200
_COMMAND = re.compile(r"`([^`]*)`")
_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
#: An image with that sha256 never changes.
_OF_IMAGE = {
    "Cache-Control": "private, max-age=86400, immutable",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}


class Live:
    """The live page of one workspace."""

    def __init__(self, workspace: Workspace, every: float) -> None:
        """`every`: seconds between two looks at the workspace, and between two requests of the page."""
        self._workspace, self._every = workspace, every
        self._snapshots = Snapshots(workspace, every)
        self._templates = page_templates("samplers.status.live")
        self._templates.filters |= _FILTERS
        script, look = source(self._templates, "script.js"), style(self._templates)
        policy = (
            f"default-src 'none'; img-src 'self' data:; connect-src 'self'; style-src '{policy_hash(look)}'; "
            f"script-src '{policy_hash(script)}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        self._page_headers = _HEADERS | {"Content-Security-Policy": policy}
        self._page = {"script": script, "style": look, "every": every, "workspace": str(workspace.root)}

    def app(self, names: Sequence[str] = ()) -> ASGIApp:
        """The application; `names`: further names of the server."""
        routes = [
            Route("/", self._whole_page),
            Route("/sections", self._sections),
            Route("/status.json", self._json),
            Route("/metrics", self._metrics),
            Route("/image/{sha256}.png", self._image),
        ]
        return Border(_refuse, names).wrap(Starlette(routes=routes))

    # Starlette runs these in threads, as they are no coroutines: reading a slow disk keeps nobody else waiting.

    def _whole_page(self, _: Request) -> Response:
        return self._html("page.html", **self._page)

    def _sections(self, _: Request) -> Response:
        return self._html("sections.html")

    def _json(self, _: Request) -> Response:
        snapshot = self._snapshots.now()
        if snapshot.status is None:
            return _unavailable(snapshot)
        return Response(as_json(snapshot.status), media_type="application/json", headers=_HEADERS)

    def _metrics(self, request: Request) -> Response:
        snapshot = self._snapshots.now()
        if snapshot.status is None:
            return _unavailable(snapshot)
        content, media_type = metrics_text(snapshot.status, request.headers.get("accept", ""))
        return Response(content, headers=_HEADERS | {"Content-Type": media_type})

    def _image(self, request: Request) -> Response:
        content = self._snapshots.newest.content(request.path_params["sha256"])
        if content is None:
            return PlainTextResponse("no such image\n", 404, headers=_HEADERS)
        return Response(content, media_type="image/png", headers=_HEADERS | _OF_IMAGE)

    def _html(self, template: str, **values: Any) -> Response:
        snapshot = self._snapshots.now()
        status = snapshot.status
        shares = time_shares(status.time) if status is not None and status.time.wall > 0 else {}
        content = self._templates.get_template(template).render(
            snapshot=snapshot, status=status, shares=shares, most_failures=FAILURES, **values
        )
        return Response(content, media_type="text/html", headers=self._page_headers)


def commands_as_code(text: str) -> Markup:
    """A text in which commands stand between backticks, with those as code."""
    return Markup(_COMMAND.sub(r"<code>\1</code>", str(escape(text))))


_FILTERS: Mapping[str, Callable[..., str]] = {
    "count": lambda value: f"{value:,}",
    "line": lambda text: in_line(str(text)),
    "duration": duration_text,
    "rate": lambda value: "-" if value is None else f"{value:.2f}",
    "percent": lambda value: "-" if value is None else f"{value:.0%}",
    "shards": shards_text,
    "commands": commands_as_code,
}


def _unavailable(snapshot: Snapshot) -> Response:
    return PlainTextResponse(f"{printable(str(snapshot.error))}\n", 503, headers=_HEADERS)


def _refuse(status: int, host: str) -> ASGIApp:
    reason = f"this page has no name {host!r}" if status == MISDIRECTED else "this page is not for other sites"
    words = reason.encode("ascii", "backslashreplace").decode()
    return PlainTextResponse(f"{words}: open it by the address that cf-status printed\n", status, headers=_HEADERS)
