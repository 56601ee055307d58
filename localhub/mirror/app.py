"""The endpoints of a mirror: those of a Hub, where what is missing comes from the Hub that is mirrored.

Lists and what is said of a repository are asked of that Hub, and kept for the time when it does not answer. A commit is
noted with the hashes of all its files when it is first asked for; a file of it is downloaded when it is first read.
After that nothing is asked, except whether a token may read a gated or private repository.
"""

import secrets
from collections.abc import Callable, Iterable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from localhub import web
from localhub.access import Token, Visitor
from localhub.app import MEDIA_TYPE, Hub, application, file_headers
from localhub.mirror.answers import Answers
from localhub.mirror.copies import CopyStore
from localhub.mirror.copying import Copier
from localhub.mirror.downloads import Downloads
from localhub.mirror.growing import growing_response
from localhub.mirror.rights import Client, MirrorAccess, Rights
from localhub.mirror.space import Space
from localhub.mirror.upstream import Answer, AwayError, Moved, Upstream
from localhub.records import Commit, Repo
from localhub.request_errors import RepoNotFound, RequestError, RevisionNotFound
from localhub.store import Store

#: Bytes of the beginning of a file that a client waits for: where they do not come, it gets the error instead.
_FIRST = 1


class MirrorHub(Hub):
    """The endpoints of a mirror."""

    def __init__(self, store: CopyStore, access: MirrorAccess, upstream: Upstream, space: Space) -> None:
        super().__init__(store, access)
        self._copies, self._upstream, self._space = store, upstream, space
        self._copier = Copier(store, upstream)
        self._answers = Answers(store.root / "answers")
        self._downloads = Downloads(store, upstream, space)

    def repositories(self, request: Request) -> Response:
        """A page of models or datasets of the Hub that is mirrored; one that was read before while that is away."""
        self._kind(request)
        return self._through(request, None)

    def info(self, request: Request) -> Response:
        """One repository at a revision."""
        return self._through(request, super().info)

    def tree(self, request: Request) -> Response:
        """A page of the files and folders below a folder."""
        return self._through(request, super().tree)

    def refs(self, request: Request) -> Response:
        """All branches, tags and other refs."""
        return self._through(request, super().refs)

    def commits(self, request: Request) -> Response:
        """The history of a revision."""
        return self._through(request, super().commits)

    def other(self, request: Request) -> Response:
        """Where the Hub that is mirrored has moved an address to, such as that of a model without an organization."""
        answer = self._upstream.get(_target(request))
        if isinstance(answer, Moved):
            return _redirect(answer)
        raise RequestError(f"a mirror does not have this address: {request.scope['path']}", status=404)

    async def resolve(self, request: Request) -> Response:
        """A file of a revision, whole or a range of it."""
        found = await run_in_threadpool(self._found, request)
        if isinstance(found, str):
            return _renamed(request, found)
        repo, commit, path = found
        file = commit.files[path]
        if self._copies.has(file):
            self._space.use(self.store.blobs.path(file.sha256))
            return self.file_response(repo, commit, path)
        headers = file_headers(commit, path)
        if request.method == "HEAD":
            size = {"Content-Length": str(file.size), "Accept-Ranges": "bytes"}
            return Response(headers=headers | size, media_type=MEDIA_TYPE)
        is_closed = bool(repo.gated or repo.private)
        download = self._downloads.begin(repo, commit, path, self._token(request) if is_closed else None)
        while download.available() < min(_FIRST, file.size) and not download.ended.is_set():
            await run_in_threadpool(download.ended.wait, 0.02)
        if download.ended.is_set() and download.blob is None:
            if isinstance(download.error, RequestError):
                raise download.error
            raise RequestError(f"{repo.id}: the mirror could not download {path}: {download.error}", status=507)
        return growing_response(request, download, headers)

    def _found(self, request: Request) -> str | tuple[Repo, Commit, str]:
        name = self._note(request)
        return name if name is not None else self.located(request)

    def _note(self, request: Request) -> str | None:
        """Note the repository and revision of a request, if that is not done; its name now where it was renamed."""
        repo_id = f"{web.part(request, 'org')}/{web.part(request, 'name')}"
        revision = web.part(request, "revision") or "main"
        return self._copier.note(self._kind(request), repo_id, revision, self._token(request))

    def _through(self, request: Request, local: Callable[[Request], Response] | None) -> Response:
        """The answer of the Hub that is mirrored; while it is away the one it gave before, or what is known here."""
        target = _target(request)
        try:
            answer = self._upstream.get(target, self._token(request))
        except AwayError as away:
            if (kept := self._answers.kept(target)) is not None:
                return _json(request, kept)
            if local is None:
                raise
            try:
                return local(request)
            except (RepoNotFound, RevisionNotFound):
                raise away from None
        if isinstance(answer, Moved):
            return _redirect(answer)
        self._answers.keep(target, answer)
        return _json(request, answer)

    def _paths_info(self, request: Request, paths: list[str], expand: bool) -> Response:
        name = self._note(request)
        return _renamed(request, name) if name is not None else super()._paths_info(request, paths, expand)

    def auth_check(self, request: Request) -> Response:
        """An error unless the visitor may read the repository's files."""
        name = self._note(request)
        return _renamed(request, name) if name is not None else super().auth_check(request)

    def _token(self, request: Request) -> str | None:
        """The client's token for the Hub that is mirrored."""
        visitor: Visitor = self._visitor(request)
        return visitor.token if isinstance(visitor, Client) else None


def mirror(
    store: Store, upstream: Upstream, tokens: Iterable[Token], max_disk: int | None
) -> tuple[MirrorHub, ASGIApp]:
    """A mirror of `upstream` in the directory of `store`, and its ASGI application. `tokens` are its own."""
    access = MirrorAccess(tokens, Rights(upstream, secrets.token_bytes(32)), secret=secrets.token_bytes(32))
    copies = CopyStore(store.root)
    hub = MirrorHub(copies, access, upstream, Space(copies.blobs.folder, max_disk))
    return hub, application(hub, [Route("/{path:path}", hub.other)])


def _target(request: Request) -> str:
    """Path and query of a request, as it was sent."""
    query = request.url.query
    return f"{request.scope['path']}?{query}" if query else str(request.scope["path"])


def _json(request: Request, answer: Answer) -> Response:
    link = {"Link": f'<{web.base_url(request)}{answer.after}>; rel="next"'} if answer.after else {}
    return web.Json(answer.value, headers=link)


def _redirect(moved: Moved) -> Response:
    return Response(status_code=moved.status, headers={"Location": moved.target})


def _renamed(request: Request, name: str) -> Response:
    """The same address under the name that the repository has now."""
    former = f"/{request.path_params['org']}/{request.path_params['name']}/"
    return _redirect(Moved(307, _target(request).replace(former, f"/{name}/", 1)))
