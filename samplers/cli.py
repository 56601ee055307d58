"""cf-sample: images of every generator of the catalogue, or of a share of them."""

from collections.abc import Collection, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import typer

from crawler.choice_parameters import Architectures, Exclude, LicenseAllow, LicenseDeny, MaxSize, Only
from engines.parameters import Address, EngineParameter, Processes
from samplers import parameters
from samplers.options import RemakeOptions, SampleOptions
from samplers.provider.options import RemoteOptions
from workspace.command_line import SOME_FAILED_EXIT_CODE, run_command
from workspace.errors import UsageError
from workspace.layout import Needs
from workspace.opening import is_address, opened
from workspace.parameters import WorkspaceOption
from workspace.terminal import say

#: Options that may be given with --remake; the others are settings of the recipe, or choose generators.
_WITH_REMAKE = ("workspace", "remake", "into", *(field.name for field in fields(RemakeOptions)))
#: Options that are for --remote alone.
_OF_REMOTE = ("remote", "max_images", "max_cost", "requests", "repeat_unanswered")
#: Options that may be given with --remote; the others choose generators of the catalogue, or share their work.
_WITH_REMOTE = (
    *_OF_REMOTE,
    *("workspace", "images", "batch_size", "max_tries", "settings", "seed", "safety_checker", "source_weight"),
    *("images_per_prompt", "evaluation_prompts", "holdout", "validation", "store", "allow_pickle", "device"),
    *("steps", "width", "height", "guidance_scale", "negative_prompt", "scheduler"),
    *("weights_dir", "max_disk", "update", "dry_run", "as_json"),
)


def sample(
    context: typer.Context,
    workspace: WorkspaceOption = Path("workspace"),
    images: parameters.Images = SampleOptions.images,
    batch_size: parameters.BatchSize = SampleOptions.batch_size,
    max_tries: parameters.MaxTries = SampleOptions.max_tries,
    seed: parameters.Seed = SampleOptions.seed,
    images_per_prompt: parameters.ImagesPerPrompt = SampleOptions.images_per_prompt,
    source_weight: parameters.SourceWeight = None,
    evaluation_prompts: parameters.EvaluationPrompts = SampleOptions.evaluation_prompts,
    holdout: parameters.Holdout = None,
    validation: parameters.Validation = None,
    store: parameters.Store = SampleOptions.store,
    update: parameters.Update = SampleOptions.update,
    safety_checker: parameters.SafetyChecker = SampleOptions.safety_checker,
    steps: parameters.Steps = SampleOptions.steps,
    width: parameters.Width = SampleOptions.width,
    height: parameters.Height = SampleOptions.height,
    guidance_scale: parameters.GuidanceScale = SampleOptions.guidance_scale,
    negative_prompt: parameters.NegativePrompt = SampleOptions.negative_prompt,
    scheduler: parameters.Scheduler = SampleOptions.scheduler,
    settings: parameters.Settings = SampleOptions.settings,  # type: ignore[assignment]
    only: Only = None,
    exclude: Exclude = None,
    license_allow: LicenseAllow = None,
    license_deny: LicenseDeny = None,
    max_size: MaxSize = SampleOptions.max_size,  # type: ignore[assignment]
    architecture: Architectures = None,
    limit: parameters.Limit = SampleOptions.limit,
    allow_pickle: parameters.AllowPickle = SampleOptions.allow_pickle,
    retry_failed: parameters.RetryFailed = SampleOptions.retry_failed,
    device: parameters.Device = SampleOptions.device,
    devices: parameters.Devices = SampleOptions.devices,
    weights_dir: parameters.WeightsDir = SampleOptions.weights_dir,
    max_disk: parameters.MaxDisk = SampleOptions.max_disk,  # type: ignore[assignment]
    max_memory: parameters.MaxMemory = SampleOptions.max_memory,
    timeout: parameters.Timeout = SampleOptions.timeout,
    verify: parameters.VerifyOption = SampleOptions.verify,
    shard: parameters.Shard = SampleOptions.shard,
    help_others: parameters.HelpOthers = SampleOptions.help_others,
    engine: EngineParameter = SampleOptions.engine,
    address: Address = SampleOptions.address,
    processes: Processes = SampleOptions.processes,
    offline: parameters.Offline = SampleOptions.offline,
    wait: parameters.Wait = SampleOptions.wait,
    fail_above: parameters.FailAbove = SampleOptions.fail_above,
    dry_run: parameters.DryRun = False,
    calibrate: parameters.Calibrate = False,
    device_speed: parameters.DeviceSpeed = None,
    as_json: parameters.AsJson = False,
    remake: parameters.Remake = None,
    into: parameters.Into = None,
    remote: parameters.Remote = None,
    max_images: parameters.MaxImages = None,
    max_cost: parameters.MaxCost = None,
    requests: parameters.Requests = RemoteOptions.requests,
    repeat_unanswered: parameters.RepeatUnanswered = RemoteOptions.repeat_unanswered,
) -> None:
    """Sample images from the generators of the catalogue.

    For each generator, its files are downloaded, a process without token and network samples images, and the files are
    removed. A safety checker checks every image; an image that it flags is never written. After an interruption, run
    the same command again to continue.

    Exit codes: 0, all images that were to be made are there; 3, some generators failed, and those of all others are
    there; 75, interrupted by a batch system, or with --offline nobody fetches the files; 1 and 2, an error. Of
    thousands of generators some always fail: a script that goes on all the same says `--fail-above 100%`.

    Examples:

        cf-sample --shard 3/16                        # on each of sixteen GPUs

        cf-sample --shard 3/16 --no-help              # and nothing of the other shards when it has finished early

        cf-sample --devices all --shard auto          # on each node, started by srun: a process for each of its GPUs

        cf-sample --images 16 --only ORG/NAME         # a few images of one generator

        cf-sample --license-deny non-commercial,unknown --max-size 20GB   # what is left out, and why, is said

        cf-sample --shard 3/16 --dry-run              # what would be sampled, and what it costs

        cf-sample --dry-run --device-speed a100       # the same before there is a GPU

        cf-sample --evaluation-prompts 0.1 --holdout name=ORG/NAME   # no caption of its images is one of training

        cf-sample --images 400 --images-per-prompt 4  # a hundred prompts, four images of each

        cf-sample --engine ray --address 10.0.0.5:6379   # a supervisor on each GPU of a Ray cluster

        cf-sample --fail-above 5% && cf-build-manifest  # goes on unless more than a twentieth failed

        cf-sample --width 768 --height 768 --settings settings.toml   # some generators with settings of their own

        cf-sample --update --images 600               # more images of each generator, those that are there stay

        cf-sample --offline --weights-dir /shared/weights --shard 3/16   # on a node without internet, beside cf-fetch

        cf-status --watch                             # the progress of all shards

        cf-sample --remake ORG/NAME/00000162.png --into again   # the same image once more: is it equal?

        cf-sample --remake rows.csv --into again --device cuda:0   # rows of the manifest or of a published dataset

        cf-sample --remote painter.toml --max-cost 20 --dry-run   # what a commercial generator would cost
    """
    if remake or into is not None:
        _remake(
            context,
            workspace,
            remake,
            into,
            {
                "device": device,
                "weights_dir": weights_dir,
                "max_disk": max_disk,
                "timeout": timeout,
                "max_memory": max_memory,
            },
        )
        return
    from samplers.planning.prompting import parse_weights

    options = SampleOptions(
        images=images,
        batch_size=batch_size,
        max_tries=max_tries,
        steps=steps,
        width=width,
        height=height,
        guidance_scale=guidance_scale,
        negative_prompt=negative_prompt,
        scheduler=scheduler,
        settings=settings,
        seed=seed,
        safety_checker=safety_checker,
        source_weights=parse_weights(source_weight or ()),
        images_per_prompt=images_per_prompt,
        evaluation_prompts=evaluation_prompts,
        holdout=tuple(holdout or ()),
        validation=tuple(validation or ()),
        store=store,
        allow_pickle=allow_pickle,
        shard=shard,
        only=tuple(only or ()),
        exclude=tuple(exclude or ()),
        license_allow=tuple(license_allow or ()),
        license_deny=tuple(license_deny or ()),
        max_size=max_size,
        architecture=tuple(architecture or ()),
        limit=limit,
        device=device,
        devices=devices,
        weights_dir=weights_dir,
        max_disk=max_disk,
        timeout=timeout,
        max_memory=max_memory,
        retry_failed=retry_failed,
        help_others=help_others,
        engine=engine,
        address=address,
        processes=processes,
        fail_above=fail_above,
        verify=verify,
        update=update,
        offline=offline,
        wait=wait,
    )
    if remote:
        _refuse_others(context, _WITH_REMOTE, "--remote requests images of the generators that it names")
        limits = RemoteOptions(
            remote=tuple(remote),
            max_images=max_images,
            max_cost=max_cost,
            requests=requests,
            repeat_unanswered=repeat_unanswered,
        )
        _sample_remote(workspace, limits, options, dry_run=dry_run, as_json=as_json)
        return
    _refuse(context, _OF_REMOTE, "is for --remote: add it")
    if not (dry_run or calibrate) and (device_speed is not None or as_json):
        raise UsageError("--device-speed and --json are for --dry-run: add it")
    if calibrate and offline:
        raise UsageError("--calibrate downloads three generators from the Hub: leave out --offline")
    # A forecast changes nothing, but for the calibration.
    needs = Needs(writes=calibrate or not dry_run, images=verify == "full")
    with opened(workspace, needs) as space:
        if dry_run or calibrate:
            from samplers.forecasting.forecast import forecast
            from samplers.forecasting.forecast_text import show

            show(forecast(space, options, device_speed, calibrate=calibrate), as_json=as_json)
        else:
            from samplers.failed_share import FailedShare
            from samplers.stage import sample as sample_all
            from samplers.summary import show_report

            report = sample_all(space, options)
            show_report(report)
            failed = FailedShare.of(space, report)
            if failed.is_above(options.allowed_failures):
                say(failed.message(), err=True)
                raise typer.Exit(SOME_FAILED_EXIT_CODE)


def _remake(
    context: typer.Context, workspace: Path, rows: list[str] | None, into: Path | None, options: dict[str, Any]
) -> None:
    """Make images again, say what is equal, and fail where not all are."""
    if not rows or into is None:
        raise UsageError(
            "--remake ROW needs --into DIR, the folder for images and results" if rows else "--into is for --remake ROW"
        )
    _refuse_others(context, _WITH_REMAKE, "--remake makes images as the workspace's recipe says")
    if not is_address(workspace) and not workspace.is_dir():
        raise UsageError(f"--workspace {workspace} does not exist: name the workspace that sampled the images")
    from samplers.remaking.remake import remake

    with opened(workspace, Needs(writes=False, images=True, manifest=True), create=False) as space:
        remade = remake(space, rows, into, RemakeOptions(**options))
    for line in remade.lines():
        say(line)
    remade.require_equal()


def _sample_remote(
    workspace: Path, remote: RemoteOptions, options: SampleOptions, *, dry_run: bool, as_json: bool
) -> None:
    """Request images from providers, or say what that would cost; fail where one of them does."""
    from samplers.provider.forecast import forecast_remote, show_forecasts, show_reports
    from samplers.provider.run import sample_remote

    if as_json and not dry_run:
        raise UsageError("--json is for --dry-run: add it")
    with opened(workspace, Needs(writes=not dry_run)) as space:
        if dry_run:
            show_forecasts(forecast_remote(space, remote, options), as_json=as_json)
            return
        reports = sample_remote(space, remote, options)
    show_reports(reports)
    if any(one.failed for one in reports):
        raise typer.Exit(SOME_FAILED_EXIT_CODE)


def _refuse_others(context: typer.Context, allowed: Collection[str], why: str) -> None:
    """Raise `UsageError` for an option on the command line that is none of these."""
    for name, option in _given(context):
        if name not in allowed:
            raise UsageError(f"{why}: leave out {option}")


def _refuse(context: typer.Context, names: Collection[str], why: str) -> None:
    """Raise `UsageError` for an option on the command line that is one of these."""
    for name, option in _given(context):
        if name in names:
            raise UsageError(f"{option} {why}")


def _given(context: typer.Context) -> Iterator[tuple[str, str]]:
    """The options on the command line: their parameters, and what the user writes."""
    for parameter in context.command.params:
        source = context.get_parameter_source(str(parameter.name))
        if source is not None and source.name == "COMMANDLINE":
            yield str(parameter.name), parameter.opts[0]


def main() -> None:
    """The console script."""
    run_command(sample)
