"""The endpoints, each a few lines.

`kinds` in a path is "models" or "datasets". The JSON of the answers is in `views`, access control in `access`, uploads
in `uploads`.
"""

from collections.abc import Sequence
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from localhub import card, uploads, views, web
from localhub.access import AccessControl, Visitor
from localhub.blobs import CHUNK_BYTES
from localhub.listing import MAX_PAGE, Entry, Listing, Query
from localhub.names import check_kind, check_repo_id
from localhub.records import Commit, Repo
from localhub.request_errors import (
    BadRequest,
    Conflict,
    EntryNotFound,
    RepoNotFound,
    RequestError,
    RevisionNotFound,
    Unauthorized,
)
from localhub.store import Store, now

#: Rows of a page of a tree, as on the Hub: fewer if the last commit of each row is requested.
_TREE_PAGE, _EXPANDED_TREE_PAGE = 1000, 50


#: Of every file.
MEDIA_TYPE = "application/octet-stream"


class _File(FileResponse):
    chunk_size = CHUNK_BYTES


def file_headers(commit: Commit, path: str) -> dict[str, str]:
    """The headers of a file of a commit."""
    file = commit.files[path]
    headers = {"X-Repo-Commit": commit.id, "ETag": f'"{file.etag}"', "Cache-Control": "no-cache"}
    if file.lfs:
        headers |= {"X-Linked-Etag": f'"{file.sha256}"', "X-Linked-Size": str(file.size)}
    return headers | {"Content-Security-Policy": "sandbox", "X-Content-Type-Options": "nosniff"}


class Hub:
    """The endpoints of one store. Each method answers one route."""

    def __init__(self, store: Store, access: AccessControl):
        self.store = store
        self.access = access
        self.listing = Listing(store)

    # Reading

    def root(self, _request: Request) -> Response:
        """The name of this server and its number of repositories, for people."""
        counts = {f"{kind}s": self.listing.count(kind) for kind in ("model", "dataset")}
        return web.Json({"name": "embedded Hugging Face Hub of community-forensics", **counts})

    def whoami(self, request: Request) -> Response:
        """The user and role of a token."""
        if (user := self._visitor(request).user) is None:
            raise Unauthorized("Invalid username or password.")
        role = "write" if self._visitor(request).write else "read"
        token = {"type": "access_token", "accessToken": {"displayName": user, "role": role}}
        return web.Json({"type": "user", "id": user, "name": user, "fullname": user, "orgs": [], "auth": token})

    def harnesses(self, _request: Request) -> Response:
        """An empty list of coding agents: clients request it before their first request of a day."""
        return web.Json({"standardEnvVars": [], "harnesses": {}})

    def repositories(self, request: Request) -> Response:
        """A page of models or datasets."""
        kind, visitor = self._kind(request), self._visitor(request)
        given = request.query_params
        for name in ("apps", "inference", "inference_provider", "num_parameters"):
            if name in given:
                raise BadRequest(f"this Hub has no filter {name!r}")
        fields = views.fields_of_list(
            kind,
            web.values(request, "expand"),
            full=web.flag(request, "full"),
            card=web.flag(request, "cardData"),
            config=web.flag(request, "config"),
        )
        query = Query(
            filters=web.values(request, "filter"),
            author=given.get("author"),
            search=tuple(given.getlist("search")),
            gated=web.flag(request, "gated") if "gated" in given else None,
            pipeline_tag=given.get("pipeline_tag"),
            library=given.get("library"),
            sort=given.get("sort", "trendingScore"),
            limit=web.number(request, "limit", MAX_PAGE, least=1),
            cursor=given.get("cursor"),
        )
        page, cursor = self.listing.page(kind, query, lambda repo: self.access.may_know(repo, visitor))
        return web.Json([views.repository(e, fields) for e in page], headers=web.next_page(request, cursor))

    def info(self, request: Request) -> Response:
        """One repository at a revision."""
        repo, commit = self._commit(request)
        blobs = web.flag(request, "blobs")
        fields = views.fields_of_info(repo.kind, web.values(request, "expand"), blobs=blobs)
        return web.Json(views.repository(Entry.of(repo, commit), fields, commit.files if blobs else None))

    def tree(self, request: Request) -> Response:
        """A page of the files and folders below a folder."""
        repo, commit = self._commit(request)
        expand = web.flag(request, "expand")
        rows = views.tree(commit, web.part(request, "path").strip("/"), recursive=web.flag(request, "recursive"))
        most = min(web.number(request, "limit", _TREE_PAGE, least=1), _EXPANDED_TREE_PAGE if expand else _TREE_PAGE)
        start = web.number(request, "cursor", 0)
        page, cursor = rows[start : start + most], str(start + most) if start + most < len(rows) else None
        if expand:
            page = views.with_last_commit(page, self.store.history(repo, commit))
        return web.Json(page, headers=web.next_page(request, cursor))

    async def paths_info(self, request: Request) -> Response:
        """Some files and folders; requested by a form, by older clients in JSON."""
        sent = await web.body(request)
        if "json" in request.headers.get("content-type", ""):
            wanted = web.as_object(sent)
            paths, expand = web.field(wanted, "paths", list), bool(wanted.get("expand"))
        else:
            form = parse_qs(sent.decode("utf-8", "replace"))
            paths, expand = form.get("paths", []), form.get("expand", [""])[-1].lower() in ("true", "1")
        return await run_in_threadpool(self._paths_info, request, [str(path) for path in paths], expand)

    def _paths_info(self, request: Request, paths: list[str], expand: bool) -> Response:
        repo, commit = self._commit(request)
        rows = views.paths_info(commit, paths)
        return web.Json(views.with_last_commit(rows, self.store.history(repo, commit)) if expand else rows)

    def refs(self, request: Request) -> Response:
        """All branches, tags and other refs."""
        return web.Json(views.refs(self._repo(request)))

    def commits(self, request: Request) -> Response:
        """The history of a revision."""
        repo, commit = self._commit(request)
        return web.Json(views.commits(self.store.history(repo, commit)))

    def auth_check(self, request: Request) -> Response:
        """An error unless the visitor may read the repository's files."""
        self.access.check_files(self._repo(request), self._visitor(request))
        return web.Json({})

    def auth_check_write(self, request: Request) -> Response:
        """An error unless the visitor may write to the repository."""
        self._writable(request)
        return web.Json({})

    async def resolve(self, request: Request) -> Response:
        """A file of a revision, whole or a range of it."""
        return self.file_response(*await run_in_threadpool(self.located, request))

    def located(self, request: Request) -> tuple[Repo, Commit, str]:
        """The repository, the commit and the path that `resolve` is asked for, which the visitor may read."""
        repo, commit = self._commit(request)
        self.access.check_files(repo, self._visitor(request))
        path = web.part(request, "path")
        if path not in commit.files:
            raise EntryNotFound(f"{repo.id} has no file {path!r} at {commit.id}", headers={"X-Repo-Commit": commit.id})
        return repo, commit, path

    def file_response(self, repo: Repo, commit: Commit, path: str) -> Response:
        """The content of a file, or a range of it."""
        file = commit.files[path]
        blob = self.store.blobs.path(file.sha256) if file.sha256 else None
        if blob is None or not blob.is_file():
            raise EntryNotFound(f"{repo.id}: this copy of the repository does not have the content of {path!r}")
        # Browsers must not render it: an untrusted page must not run in this origin.
        return _File(blob, headers=file_headers(commit, path), stat_result=blob.stat(), media_type=MEDIA_TYPE)

    # Writing

    async def create(self, request: Request) -> Response:
        """Create a repository; the status 409 comes with its id if it exists, because clients need that."""
        wanted = await web.json_body(request)
        visitor = self._writer(request)
        kind, repo_id = self._named(wanted, visitor)
        private = wanted.get("private") is True or wanted.get("visibility") == "private"
        address = f"{web.base_url(request)}/{'' if kind == 'model' else 'datasets/'}{repo_id}"
        try:
            await run_in_threadpool(self.store.create, kind, repo_id, private=private, created_at=now())
        except Conflict as conflict:
            raise Conflict(str(conflict), body={"url": address, "id": repo_id}) from None
        return web.Json({"url": address, "name": repo_id, "id": repo_id})

    async def remove(self, request: Request) -> Response:
        """Delete a repository."""
        wanted = await web.json_body(request)
        kind, repo_id = self._named(wanted, self._writer(request))
        await run_in_threadpool(self.store.delete, kind, repo_id)
        return web.Json({})

    async def settings(self, request: Request) -> Response:
        """Change who may see a repository or read its files."""
        repo, wanted = self._writable(request), await web.json_body(request)
        changes: dict[str, object] = {}
        if "gated" in wanted:
            if wanted["gated"] not in (False, "auto", "manual"):
                raise BadRequest('\'gated\' must be false, "auto" or "manual"')
            changes["gated"] = wanted["gated"]
        if "visibility" in wanted or "private" in wanted:
            changes["private"] = wanted.get("private") is True or wanted.get("visibility") == "private"
        await run_in_threadpool(self.store.update, repo.kind, repo.id, **changes)
        return web.Json(changes)

    async def validate_yaml(self, request: Request) -> Response:
        """Validate a card's metadata, as clients request before they upload a README.md."""
        sent = await web.json_body(request)
        try:
            metadata = card.parse(web.field(sent, "content", str))
        except card.BrokenCardError as error:
            return web.Json(
                {"errors": [{"message": str(error)}], "warnings": []}, 400, {"X-Error-Message": "invalid card"}
            )
        warnings = [] if metadata else [{"message": "empty or missing yaml metadata in repo card"}]
        return web.Json({"errors": [], "warnings": warnings})

    async def preupload(self, request: Request) -> Response:
        """How each file must be uploaded."""
        self._writable(request)
        _, commit = await run_in_threadpool(self._commit, request)
        return web.Json(uploads.modes(await web.json_body(request), commit))

    async def lfs_batch(self, request: Request) -> Response:
        """The address for uploading each large file."""
        self._writable(request)
        base = web.base_url(request)
        verify = f"{base}{request.scope['path'].removesuffix('batch')}verify"
        wanted = await web.json_body(request)
        return web.Json(await run_in_threadpool(uploads.batch, wanted, self.store, self.access, base, verify))

    async def lfs_verify(self, request: Request) -> Response:
        """Confirm that a large file was uploaded."""
        self._writable(request)
        return web.Json(uploads.verify(await web.json_body(request), self.store))

    async def lfs_put(self, request: Request) -> Response:
        """Receive a large file."""
        return await uploads.receive(request, self.store, self.access)

    async def commit(self, request: Request) -> Response:
        """Add, replace and delete files on a branch."""
        repo, revision = self._writable(request), web.part(request, "revision")
        if web.flag(request, "create_pr"):
            raise BadRequest("this Hub has no pull requests; commit to a branch")
        if repo.named(revision) is None:
            raise RevisionNotFound(f"{repo.kind} {repo.id} has no branch {revision!r}")
        read = await uploads.changes(request, self.store)
        made = await run_in_threadpool(
            self.store.commit_files,
            repo.kind,
            repo.id,
            read.add,
            delete=read.delete,
            message=read.summary,
            revision=revision,
            date=now(),
            parent=read.parent,
            author=self._visitor(request).user or "user",
        )
        prefix = "" if repo.kind == "model" else "datasets/"
        address = f"{web.base_url(request)}/{prefix}{repo.id}/commit/{made}"
        return web.Json({"success": True, "commitOid": made, "commitUrl": address, "hookOutput": ""})

    async def super_squash(self, request: Request) -> Response:
        """Replace a branch's history by one commit with the same files."""
        repo, branch = self._writable(request), web.part(request, "revision")
        message = web.field(await web.json_body(request), "message", str, f"Super-squash branch '{branch}'")
        author = self._visitor(request).user or "user"
        await run_in_threadpool(
            self.store.squash, repo.kind, repo.id, branch, message=message, date=now(), author=author
        )
        return web.Json({})

    async def tag(self, request: Request) -> Response:
        """Create a tag at a revision."""
        self._writable(request)
        repo, commit = await run_in_threadpool(self._commit, request)
        name = web.field(await web.json_body(request), "tag", str)
        await run_in_threadpool(self.store.set_ref, repo.kind, repo.id, "tags", name, commit.id)
        return web.Json({})

    async def branch(self, request: Request) -> Response:
        """Create a branch."""
        repo = self._writable(request)
        start = web.field(await web.json_body(request), "startingPoint", str, "main")
        commit = await run_in_threadpool(self.store.commit_of, repo, start)
        name = web.part(request, "revision")
        await run_in_threadpool(self.store.set_ref, repo.kind, repo.id, "branches", name, commit.id)
        return web.Json({})

    def remove_tag(self, request: Request) -> Response:
        """Delete a tag."""
        return self._remove_ref(request, "tags")

    def remove_branch(self, request: Request) -> Response:
        """Delete a branch."""
        return self._remove_ref(request, "branches")

    def _remove_ref(self, request: Request, group: str) -> Response:
        repo = self._writable(request)
        self.store.set_ref(repo.kind, repo.id, group, web.part(request, "revision"), None)
        return web.Json({})

    # Parts of a request

    def _visitor(self, request: Request) -> Visitor:
        return self.access.visitor(request.headers)

    def _writer(self, request: Request) -> Visitor:
        visitor = self._visitor(request)
        self.access.check_write(visitor)
        return visitor

    def _kind(self, request: Request) -> str:
        return check_kind(request.path_params.get("kinds", "models").removesuffix("s"))

    def _named(self, sent: dict[str, object], visitor: Visitor) -> tuple[str, str]:
        organization = web.field(sent, "organization", str, None) or visitor.user or "user"
        name = web.field(sent, "name", str)
        repo_id = name if "/" in name else f"{organization}/{name}"
        return check_kind(web.field(sent, "type", str, "model")), check_repo_id(repo_id)

    def _repo(self, request: Request) -> Repo:
        kind, repo_id = self._kind(request), f"{web.part(request, 'org')}/{web.part(request, 'name')}"
        try:
            check_repo_id(repo_id)
        except BadRequest as error:
            raise RepoNotFound(str(error)) from None
        repo = self.store.repo(kind, repo_id)
        self.access.check_known(repo, self._visitor(request))
        return repo

    def _writable(self, request: Request) -> Repo:
        self._writer(request)
        return self._repo(request)

    def _commit(self, request: Request) -> tuple[Repo, Commit]:
        repo = self._repo(request)
        return repo, self.store.commit_of(repo, web.part(request, "revision") or "main")


def application(hub: Hub, further: Sequence[Route] = ()) -> ASGIApp:
    """The ASGI application. An unknown address that none of the `further` routes has gives a 404 in JSON, as on the
    Hub."""
    repo, files = "/api/{kinds}/{org}/{name}", "/{org}/{name}"
    routes = [
        Route("/", hub.root),
        Route("/api/whoami-v2", hub.whoami),
        Route("/api/agent-harnesses", hub.harnesses),
        Route("/api/validate-yaml", hub.validate_yaml, methods=["POST"]),
        Route("/api/repos/create", hub.create, methods=["POST"]),
        Route("/api/repos/delete", hub.remove, methods=["DELETE"]),
        Route("/api/{kinds}", hub.repositories),
        Route(repo, hub.info),
        Route(f"{repo}/revision/{{revision}}", hub.info),
        Route(f"{repo}/tree/{{revision}}", hub.tree),
        Route(f"{repo}/tree/{{revision}}/{{path:path}}", hub.tree),
        Route(f"{repo}/paths-info/{{revision}}", hub.paths_info, methods=["POST"]),
        Route(f"{repo}/refs", hub.refs),
        Route(f"{repo}/commits/{{revision}}", hub.commits),
        Route(f"{repo}/auth-check", hub.auth_check),
        Route(f"{repo}/auth-check/write", hub.auth_check_write),
        Route(f"{repo}/settings", hub.settings, methods=["PUT"]),
        Route(f"{repo}/preupload/{{revision}}", hub.preupload, methods=["POST"]),
        Route(f"{repo}/commit/{{revision}}", hub.commit, methods=["POST"]),
        Route(f"{repo}/super-squash/{{revision}}", hub.super_squash, methods=["POST"]),
        Route(f"{repo}/tag/{{revision}}", hub.tag, methods=["POST"]),
        Route(f"{repo}/tag/{{revision}}", hub.remove_tag, methods=["DELETE"]),
        Route(f"{repo}/branch/{{revision}}", hub.branch, methods=["POST"]),
        Route(f"{repo}/branch/{{revision}}", hub.remove_branch, methods=["DELETE"]),
        Route("/lfs-storage/{oid}", hub.lfs_put, methods=["PUT"]),
    ]
    for kinds in ("", "/{kinds}"):
        routes += [
            Route(f"{kinds}{files}.git/info/lfs/objects/batch", hub.lfs_batch, methods=["POST"]),
            Route(f"{kinds}{files}.git/info/lfs/objects/verify", hub.lfs_verify, methods=["POST"]),
            Route(f"{kinds}{files}/resolve/{{revision}}/{{path:path}}", hub.resolve),
        ]
    return web.raw_paths(
        Starlette(
            routes=[*routes, *further], exception_handlers={RequestError: web.error_response, HTTPException: _no_route}
        )
    )


async def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return web.Json(
        {"error": f"{error.detail}: {request.method} {request.scope['path']}"}, error.status_code, error.headers
    )
