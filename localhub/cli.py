"""`cf-hub`: serve a directory as a Hugging Face Hub, fill it from another one, add folders to it, list what it has."""

import os
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer

from localhub.control import VARIABLE, Control
from workspace.checker import DEFAULT_CHECKER
from workspace.command_line import SOME_FAILED_EXIT_CODE, Command, command_group, run
from workspace.errors import UsageError
from workspace.extras import require_extra
from workspace.listening import address, listen
from workspace.size import bytes_of, text_of
from workspace.terminal import say

app = command_group("A Hugging Face Hub on this disk: for demos, for tests, for clusters without internet.")
Directory = Annotated[
    Path, typer.Argument(metavar="DIR", help="The directory with the repositories.", show_default=False)
]
RepoId = Annotated[str, typer.Argument(metavar="ORG/NAME", help="The repository's id.", show_default=False)]
Kind = Literal["model", "dataset"]


@app.command(
    cls=Command,
    epilog="Example: cf-hub serve hub --port 8080   then, for each client: export HF_ENDPOINT=http://127.0.0.1:8080",
)
def serve(
    directory: Directory,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0: any free port.")] = 8080,
    host: Annotated[
        str,
        typer.Option(help="Address to listen on. Other machines can connect only if this is not a loopback address."),
    ] = "127.0.0.1",
    token: Annotated[
        list[str] | None,
        typer.Option(
            envvar="CF_HUB_TOKENS",
            metavar="[USER=]VALUE[:read|:write]",
            help="Accept this token; repeat for more. Without any, everybody may read, and on loopback also write.",
        ),
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST",
            help="A further name by which clients reach this server; repeat for more. Its addresses, localhost and the "
            "name of this machine are known.",
        ),
    ] = None,
    control: Annotated[
        bool,
        typer.Option(
            "--control",
            help=f"Serve /__faults__ and /__requests__ to tests on this machine that have the secret in {VARIABLE}.",
        ),
    ] = False,
    request_log: Annotated[
        Path | None, typer.Option(help="Append one JSON line for each request to this file.")
    ] = None,
    ready_file: Annotated[
        Path | None, typer.Option(help="Write the address to this file when connections are accepted.")
    ] = None,
    api_limit: Annotated[
        int | None, typer.Option(min=1, help="Maximum of API requests of a client in a window. [default: no limit]")
    ] = None,
    file_limit: Annotated[
        int | None, typer.Option(min=1, help="Maximum of file requests of a client in a window. [default: no limit]")
    ] = None,
    limit_window: Annotated[float, typer.Option(min=1, help="Length of a window of these limits, in seconds.")] = 300,
    mirror: Annotated[
        bool,
        typer.Option(
            "--mirror",
            help="Get from another Hub what DIR does not have, and keep it; nobody writes. Without that Hub, what is "
            "there is served.",
        ),
    ] = False,
    upstream: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="The Hub that --mirror mirrors.",
            show_default="HF_ENDPOINT, else https://huggingface.co",
        ),
    ] = None,
    max_disk: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="With --mirror: space for files, such as 20TB; those that were read least recently give way.",
            show_default="the disk",
        ),
    ] = None,
    while_stdin_open: Annotated[
        bool,
        typer.Option("--while-stdin-open", help="Stop when standard input is closed, as when the parent process ends."),
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
    secret = os.environ.get(VARIABLE)
    if control and not secret:
        raise UsageError(f"--control needs a secret in the environment: set {VARIABLE}")
    if not mirror and (upstream or max_disk):
        raise UsageError("--upstream and --max-disk are for --mirror: add it")
    tokens = [Token.parse(text) for text in token or ()]
    unlimited = 10**9
    limits = None
    if api_limit or file_limit:
        limits = Limits(api_limit or unlimited, file_limit or unlimited, limit_window)
    sock = listen(host, port)
    mirrored = None
    if mirror:
        from localhub.mirror.upstream import Upstream

        mirrored = Upstream(upstream)
        if mirrored.endpoint == address(sock):
            raise UsageError(
                f"--upstream {mirrored.endpoint} is this server: name the Hub to mirror, or unset HF_ENDPOINT"
            )
    of = f", a mirror of {mirrored.endpoint}," if mirrored is not None else ""
    say(f"serving {directory}{of} at {address(sock)} (set HF_ENDPOINT to this; stop with Ctrl-C)", err=True)
    server.run(
        sock,
        Store(directory),
        tokens=tokens,
        names=[host, *(name or ())],
        control=Control(secret if control else None),
        limits=limits,
        request_log=request_log,
        ready_file=ready_file,
        while_stdin_open=while_stdin_open,
        mirrored=mirrored,
        max_disk=None if max_disk is None else bytes_of(max_disk, "--max-disk"),
    )


@app.command(cls=Command, epilog="Example: cf-hub mirror workspace/catalog.parquet hub   then: cf-hub serve hub")
def mirror(
    catalog: Annotated[
        Path, typer.Argument(metavar="CATALOG", help="The catalogue that cf-crawl wrote.", show_default=False)
    ],
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The directory to fill.")] = Path("hub"),
    upstream: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="The Hub to copy from.", show_default="HF_ENDPOINT, else https://huggingface.co"
        ),
    ] = None,
    max_disk: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE", help="Space for files, such as 20TB; what does not fit is named.", show_default="the disk"
        ),
    ] = None,
    safety_checker: Annotated[
        str,
        typer.Option(
            metavar="REPO[@REVISION]", help="The safety checker to copy too.", show_default="Stable Diffusion's"
        ),
    ] = DEFAULT_CHECKER,
) -> None:
    """Copy the compatible generators of a catalogue into DIR: their files at their revisions, base models, priors, and
    the safety checker.

    Every file is verified by its hash. Run it again to continue, also while a server serves DIR. The token of HF_TOKEN
    or `hf auth login` is used for gated models, which only those may read whose token the Hub or the owner of DIR
    accepts.

    Exit codes: 0, all is there; 3, something is not; 75, interrupted by a batch system; 1 and 2, an error.
    """
    require_extra("hub", "cf-hub mirror")
    from localhub.mirror.filling import fill
    from localhub.mirror.upstream import Upstream

    limit = None if max_disk is None else bytes_of(max_disk, "--max-disk")
    copied = fill(catalog, directory, Upstream(upstream), safety_checker, limit)
    say(f"copied: {len(copied.done)} repositories into {directory}, {text_of(copied.bytes)} downloaded")
    for name, why in copied.failed.items():
        say(f"not copied: {name}: {why}")
    if copied.failed:
        raise typer.Exit(SOME_FAILED_EXIT_CODE)


@app.command(cls=Command, epilog="Example: cf-hub add hub stabilityai/sd-turbo ./sd-turbo --downloads 500000")
def add(
    directory: Directory,
    repo_id: RepoId,
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="The folder with the repository's files.", show_default=False)
    ],
    kind: Annotated[Kind, typer.Option(help="What the repository is.")] = "model",
    downloads: Annotated[int | None, typer.Option(min=0, help="Number of downloads to show; rankings use it.")] = None,
    likes: Annotated[int | None, typer.Option(min=0, help="Number of likes to show.")] = None,
    gated: Annotated[
        Literal["no", "auto", "manual"] | None, typer.Option(help="Whether access to the files needs approval.")
    ] = None,
    revision: Annotated[str, typer.Option(help="The branch to commit to.")] = "main",
    commit_id: Annotated[
        str | None,
        typer.Option(help="The id of the new commit, such as its id on the real Hub (40 hexadecimal digits)."),
    ] = None,
    follow_links: Annotated[
        bool,
        typer.Option(
            "--follow-links", help="Follow symbolic links out of FOLDER, as in a snapshot of the client's cache."
        ),
    ] = False,
) -> None:
    """Copy the files of FOLDER into a repository of DIR, as one commit; a server may be running."""
    from localhub.folder import files_of
    from localhub.store import Store, now

    files = files_of(folder, follow_links=follow_links)
    store, moment = Store(directory), now()
    store.create(kind, repo_id, created_at=moment, exist_ok=True)
    counts = {"downloads": downloads, "downloads_all_time": downloads, "likes": likes}
    settings: dict[str, object] = {name: value for name, value in counts.items() if value is not None}
    if gated is not None:
        settings["gated"] = False if gated == "no" else gated
    store.update(kind, repo_id, **settings)
    commit = store.commit(
        kind, repo_id, add=files, message=f"Add {folder.name}", revision=revision, date=moment, commit_id=commit_id
    )
    say(f"{kind} {repo_id}: {len(files)} {'file' if len(files) == 1 else 'files'} at {commit}")


@app.command(cls=Command, epilog="Example: cf-hub ls hub")
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
                say("\t".join(str(value) for value in row))
            if cursor is None:
                break


def main() -> NoReturn:
    """Run the command line `cf-hub`."""
    run(app)


if __name__ == "__main__":
    main()
