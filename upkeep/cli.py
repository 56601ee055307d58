"""The command lines `cf-remove` and `cf-merge`."""

from pathlib import Path
from typing import Annotated

import typer

from upkeep.options import MergeOptions, RemoveOptions
from workspace import command_line
from workspace.layout import Workspace
from workspace.opening import require_folder
from workspace.parameters import WorkspaceOption
from workspace.removal_reasons import REASONS
from workspace.terminal import say


def remove() -> None:
    """Entry point of cf-remove."""
    command_line.run_command(_remove)


def merge() -> None:
    """Entry point of cf-merge."""
    command_line.run_command(_merge)


def _remove(
    reason: Annotated[str, typer.Option(metavar="REASON", help=f"Why: one of {', '.join(REASONS)}.")],
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ORG/NAME[@COMMIT]", help="Generators, with all their revisions or one.", show_default=False
        ),
    ] = None,
    workspace: WorkspaceOption = Path("workspace"),
    real: Annotated[
        list[str] | None, typer.Option(metavar="SHA256", help="A real image, with its caption (may be repeated).")
    ] = None,
    license_: Annotated[
        list[str] | None,
        typer.Option(
            "--license",
            metavar="LICENCE",
            help="All real images of this licence, or of licences that fit a shell pattern; none: whose licence is "
            "unknown (may be repeated).",
        ),
    ] = None,
    with_generated: Annotated[
        bool,
        typer.Option(
            "--with-generated", help="Also the images that were generated from the captions of these real images."
        ),
    ] = RemoveOptions.with_generated,
    note: Annotated[
        str | None, typer.Option(metavar="TEXT", help="More about the reason, for removed.parquet.")
    ] = RemoveOptions.note,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be removed, and remove nothing.")
    ] = RemoveOptions.dry_run,
) -> None:
    """Take generators or real images out of the workspace, so that no later run makes them again.

    Their files, rows and names go; what other generators made stays as it is. manifest/ and report/ are removed and
    built again with `cf-build-manifest`; `cf-publish ORG/NAME --purge-history` takes it out of a published dataset and
    its history. It cannot be undone. An interrupted removal is completed by the same command.

    Examples:

        cf-remove ORG/NAME --reason author-request

        cf-remove ORG/NAME ORG/OTHER@0123456 --reason licence --dry-run

        cf-remove --real SHA256 --reason privacy --with-generated

        cf-remove --license 'CC-BY-NC*' --reason licence
    """
    from upkeep.removal import remove

    require_folder(workspace, "cf-remove")

    options = RemoveOptions(
        reason=reason,
        real=tuple(real or ()),
        license=tuple(license_ or ()),
        with_generated=with_generated,
        note=note,
        dry_run=dry_run,
    )
    for line in remove(Workspace(workspace.resolve()), models or (), options).lines():
        say(line)


def _merge(
    workspaces: Annotated[
        list[Path], typer.Argument(metavar="WORKSPACE...", help="Workspaces of one catalogue and recipe.")
    ],
    into: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The merged workspace, a new folder.  [default: the first workspace]"),
    ] = None,
    copy: Annotated[
        bool, typer.Option("--copy", help="Copy every file; otherwise files are hard links where that is possible.")
    ] = MergeOptions.copy,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be merged, and merge nothing.")
    ] = MergeOptions.dry_run,
) -> None:
    """Make one workspace of several that were made with one catalogue and recipe, such as on two clusters.

    Where several have a generator, the more complete one counts, with all its files. What one of them removed is
    removed. manifest/ and report/ are not merged: run `cf-build-manifest` then. An interrupted merge is completed by
    the same command.

    Examples:

        cf-merge run-a run-b --into run

        cf-merge run-a run-b   # run-a gets what run-b has

        cf-merge run-a run-b run-c --into run --dry-run
    """
    from upkeep.merging import merge

    for one in (*workspaces, *([into] if into else ())):
        require_folder(one, "cf-merge")

    for line in merge(list(workspaces), MergeOptions(into=into, copy=copy, dry_run=dry_run)).lines():
        say(line)
