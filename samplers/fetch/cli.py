"""cf-fetch: the files of generators, for nodes without internet."""

from pathlib import Path
from typing import Annotated

import typer

from crawler.choice_parameters import WHICH_GENERATORS, Architectures, Exclude, LicenseAllow, LicenseDeny, MaxSize, Only
from samplers.fetch.options import FetchOptions
from workspace.command_line import SOME_FAILED_EXIT_CODE, run_command
from workspace.layout import Workspace
from workspace.parameters import WorkspaceOption
from workspace.terminal import say


def fetch(
    workspace: WorkspaceOption = Path("workspace"),
    weights_dir: Annotated[
        Path | None,
        typer.Option(
            envvar="CF_WEIGHTS_DIR",
            help="Folder to fill, on a file system that the sampling nodes share. Required.",
        ),
    ] = FetchOptions.weights_dir,
    max_disk: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Space that the folder may take, such as 20TB. Default: the disk."),
    ] = FetchOptions.max_disk,  # type: ignore[assignment]
    shard: Annotated[
        str,
        typer.Option(help="Share of the generators to fetch: 1/2 is the first of two, as `cf-sample` divides them."),
    ] = FetchOptions.shard,
    only: Only = None,
    exclude: Exclude = None,
    license_allow: LicenseAllow = None,
    license_deny: LicenseDeny = None,
    max_size: MaxSize = FetchOptions.max_size,  # type: ignore[assignment]
    architecture: Architectures = None,
    limit: Annotated[
        int | None,
        typer.Option(
            help="Only this many compatible generators, those with the most downloads.",
            rich_help_panel=WHICH_GENERATORS,
        ),
    ] = FetchOptions.limit,
    images: Annotated[
        int | None,
        typer.Option(
            help="Images to keep of each generator, as for `cf-sample`, before it ran the first time; later the "
            "workspace says it.",
            show_default="400",
        ),
    ] = FetchOptions.images,
    allow_pickle: Annotated[
        bool, typer.Option("--allow-pickle", help="Also generators whose weights are pickles.")
    ] = FetchOptions.allow_pickle,
    safety_checker: Annotated[
        str | None,
        typer.Option(
            metavar="REPO[@REVISION]",
            help="Repository of the safety checker.",
            show_default="the workspace's, else Stable Diffusion's",
        ),
    ] = FetchOptions.safety_checker,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Also every generator that failed before.")
    ] = FetchOptions.retry_failed,
    stay: Annotated[
        bool,
        typer.Option("--stay", help="Stay until all are sampled: free what is done, fetch damaged files again."),
    ] = FetchOptions.stay,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be fetched, and how much it is; change nothing.")
    ] = False,
) -> None:
    """Fetch the generators' files for nodes without internet, ahead of `cf-sample --offline`.

    Run it on a machine with internet that shares a file system with the nodes, such as a login node, and give it the
    options of `cf-sample` that choose generators. It downloads the safety checker and then the generators in the order
    in which they will be sampled, as many as --max-disk allows; when one is done, its files are removed and the next
    ones are downloaded. It may run beside others, with the same shard or another, and can be killed and started again.

    Exit codes: 0, all files are there, or were until they were sampled; 3, those of some generators could not be
    downloaded; 75, interrupted by a batch system; 1 and 2, an error.

    Examples:

        cf-fetch --weights-dir /shared/weights --max-disk 20TB    # on the login node

        cf-sample --offline --weights-dir /shared/weights --shard 3/16   # on each GPU

        cf-fetch --weights-dir /shared/weights --dry-run          # what would be downloaded
    """
    options = FetchOptions(
        weights_dir=weights_dir,
        max_disk=max_disk,
        shard=shard,
        only=tuple(only or ()),
        exclude=tuple(exclude or ()),
        license_allow=tuple(license_allow or ()),
        license_deny=tuple(license_deny or ()),
        max_size=max_size,
        architecture=tuple(architecture or ()),
        limit=limit,
        images=images,
        allow_pickle=allow_pickle,
        safety_checker=safety_checker,
        retry_failed=retry_failed,
        stay=stay,
    )
    space = Workspace.open(workspace)
    if dry_run:
        from samplers.fetch.plan import plan_fetch, plan_lines
        from samplers.weights.process_folder import stored_in

        assert options.weights_dir is not None
        for line in plan_lines(plan_fetch(space, options), options, stored_in(options.weights_dir)):
            say(line)
        return
    from samplers.fetch.fetch import fetch as run

    report = run(space, options)
    say(f"fetched: {len(report.fetched)} of {len(report.plan.share)} generators, into {report.folder}")
    for name, why in {**report.failed, **report.unanswered, **report.plan.pending.skipped}.items():
        say(f"not fetched: {name}: {why}")
    if report.failed or report.unanswered:
        raise typer.Exit(SOME_FAILED_EXIT_CODE)


def main() -> None:
    """The console script."""
    run_command(fetch)
