"""`cf-hub`: serve a directory as a Hugging Face Hub, put folders into it, list what is there."""

from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer

from workspace import command_line
from workspace.errors import UsageError
from workspace.extras import require_extra

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="A Hugging Face Hub on this disk: for demos, for tests, for clusters without internet.",
)
Directory = Annotated[
    Path, typer.Argument(metavar="DIR", help="The directory with the repositories.", show_default=False)
]
RepoId = Annotated[str, typer.Argument(metavar="ORG/NAME", help="The repository's id.", show_default=False)]
Kind = Literal["model", "dataset"]


@app.command(
    epilog="Example: cf-hub serve hub --port 8080   then, for each client: export HF_ENDPOINT=http://127.0.0.1:8080"
)
def serve(
    directory: Directory,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes any free one.")] = 8080,
    host: Annotated[
        str, typer.Option(help="Address to listen on. Other machines reach it only if you name one of this machine's.")
    ] = "127.0.0.1",
    token: Annotated[
        list[str] | None,
        typer.Option(
            envvar="CF_HUB_TOKENS",
            metavar="[USER=]VALUE[:read|:write]",
            help="Let in who has this token; repeat for more. With none, reading is free, and writing too on loopback.",
        ),
    ] = None,
    request_log: Annotated[
        Path | None, typer.Option(help="Append one line of JSON for each request to this file.")
    ] = None,
    ready_file: Annotated[
        Path | None, typer.Option(help="Write the address to this file once connections are accepted.")
    ] = None,
    api_limit: Annotated[
        int | None, typer.Option(min=1, help="Most API requests a visitor may make in a window. [default: no limit]")
    ] = None,
    file_limit: Annotated[
        int | None, typer.Option(min=1, help="Most file requests a visitor may make in a window. [default: no limit]")
    ] = None,
    limit_window: Annotated[float, typer.Option(min=1, help="Length of that window, in seconds.")] = 300,
    while_stdin_open: Annotated[
        bool, typer.Option("--while-stdin-open", help="Stop when standard input ends, as it does when a parent dies.")
    ] = False,
) -> None:
    """Serve DIR as a Hugging Face Hub to unmodified clients."""
    require_extra("hub", "cf-hub serve")
    from localhub import serve as server
    from localhub.access import Token
    from localhub.limits import Limits
    from localhub.store import Store

    if directory.exists() and not directory.is_dir():
        raise UsageError(f"{directory} is not a directory")
    tokens = [Token.parse(text) for text in token or ()]
    unlimited = 10**9
    limits = None
    if api_limit or file_limit:
        limits = Limits(api_limit or unlimited, file_limit or unlimited, limit_window)
    sock = server.listen(host, port)
    typer.echo(f"serving {directory} at {server.address(sock)} (set HF_ENDPOINT to this; stop with Ctrl-C)", err=True)
    server.run(
        sock,
        Store(directory),
        tokens=tokens,
        limits=limits,
        request_log=request_log,
        ready_file=ready_file,
        while_stdin_open=while_stdin_open,
    )


@app.command(epilog="Example: cf-hub add hub stabilityai/sd-turbo ./sd-turbo --downloads 500000")
def add(
    directory: Directory,
    repo_id: RepoId,
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="The folder with the repository's files.", show_default=False)
    ],
    kind: Annotated[Kind, typer.Option(help="What the repository is.")] = "model",
    downloads: Annotated[int | None, typer.Option(min=0, help="Downloads to show: rankings go by it.")] = None,
    likes: Annotated[int | None, typer.Option(min=0, help="Likes to show.")] = None,
    gated: Annotated[Literal["no", "auto", "manual"] | None, typer.Option(help="Whether files need approval.")] = None,
    revision: Annotated[str, typer.Option(help="The branch to put the files on.")] = "main",
    commit_id: Annotated[
        str | None, typer.Option(help="The id of this state, such as the one it has on the real Hub (40 digits).")
    ] = None,
    follow_links: Annotated[
        bool,
        typer.Option(
            "--follow-links", help="Follow symbolic links out of FOLDER, as in a snapshot of the client's cache."
        ),
    ] = False,
) -> None:
    """Put FOLDER's files into a repository of DIR; a server may be running. Files are copied."""
    from localhub.folder import files_of
    from localhub.store import Store, now

    files = files_of(folder, follow_links=follow_links)
    store, moment = Store(directory), now()
    store.create(kind, repo_id, created_at=moment, exist_ok=True)
    asked = {"downloads": downloads, "downloads_all_time": downloads, "likes": likes}
    settings: dict[str, object] = {name: value for name, value in asked.items() if value is not None}
    if gated is not None:
        settings["gated"] = False if gated == "no" else gated
    store.update(kind, repo_id, **settings)
    made = store.commit(
        kind, repo_id, add=files, message=f"Add {folder.name}", revision=revision, date=moment, commit_id=commit_id
    )
    typer.echo(f"{kind} {repo_id}: {len(files)} files at {made}")


@app.command(epilog="Example: cf-hub ls hub")
def ls(directory: Directory) -> None:
    """List the repositories of DIR: kind, id, downloads, files, size in bytes, commit."""
    from localhub.listing import MAX_PAGE, Listing, Query
    from localhub.store import Store

    if not directory.is_dir():
        raise UsageError(f"{directory} is not a directory")
    listing = Listing(Store(directory))
    for kind in ("model", "dataset"):
        cursor: str | None = None
        while True:
            page, cursor = listing.page(
                kind, Query(sort="downloads", limit=MAX_PAGE, cursor=cursor), lambda _repo: True
            )
            for entry in page:
                row = (kind, entry.repo.id, entry.repo.downloads, len(entry.paths), entry.used_storage, entry.sha)
                typer.echo("\t".join(str(value) for value in row))
            if cursor is None:
                break


def main() -> NoReturn:
    """Run `cf-hub`."""
    command_line.run(app)


if __name__ == "__main__":
    main()
