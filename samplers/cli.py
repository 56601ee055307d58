"""cf-sample: images of every generator of the catalogue, or of a share of them."""

from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from crawler.choice_parameters import NAMED, Architectures, Exclude, LicenseAllow, LicenseDeny, MaxSize
from samplers.options import RemakeOptions, SampleOptions, Store, Verify
from workspace.command_line import SOME_FAILED_EXIT_CODE, run_command
from workspace.errors import UsageError
from workspace.layout import Workspace
from workspace.terminal import say

#: Options that may be given with --remake; the others are settings of the recipe, or choose generators.
_WITH_REMAKE = ("workspace", "remake", "into", *(field.name for field in fields(RemakeOptions)))


def sample(
    context: typer.Context,
    workspace: Annotated[Path, typer.Option(envvar="CF_WORKSPACE", help="The folder that all stages share.")] = Path(
        "workspace"
    ),
    shard: Annotated[
        str,
        typer.Option(help="Share of the generators to sample: 3/16 is the third of sixteen, of about equal duration."),
    ] = SampleOptions.shard,
    images: Annotated[int, typer.Option(help="Images to keep of each generator.")] = SampleOptions.images,
    batch_size: Annotated[
        int | None, typer.Option(help="Images of one batch. Default: 8, or --images where that is less.")
    ] = SampleOptions.batch_size,
    max_tries: Annotated[
        int | None,
        typer.Option(help="Maximum number of images to sample, rejected ones included. Default: twice --images."),
    ] = SampleOptions.max_tries,
    steps: Annotated[
        int | None, typer.Option(help="Denoising steps, instead of each generator's own.")
    ] = SampleOptions.steps,
    width: Annotated[int | None, typer.Option(help="Width in pixels, likewise.")] = SampleOptions.width,
    height: Annotated[int | None, typer.Option(help="Height in pixels, likewise.")] = SampleOptions.height,
    guidance_scale: Annotated[
        float | None, typer.Option(help="Scale of the classifier-free guidance, likewise.")
    ] = SampleOptions.guidance_scale,
    negative_prompt: Annotated[
        str | None, typer.Option(metavar="TEXT", help='Negative prompt, likewise; "" for none.')
    ] = SampleOptions.negative_prompt,
    scheduler: Annotated[
        str | None, typer.Option(metavar="CLASS", help="Scheduler class of diffusers, likewise, such as DDIMScheduler.")
    ] = SampleOptions.scheduler,
    settings: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.toml",
            help="Settings of some generators, a table each, which win over the options: "
            '["ORG/NAME"] or ["ORG/*"] with any of steps, width, height, guidance_scale, negative_prompt, scheduler '
            "and images.",
        ),
    ] = SampleOptions.settings,  # type: ignore[assignment]
    seed: Annotated[int, typer.Option(help="Random seed: each value gives other images.")] = SampleOptions.seed,
    safety_checker: Annotated[
        str,
        typer.Option(
            metavar="REPO[@REVISION]",
            help="Repository of the safety checker that checks every image.",
            show_default="Stable Diffusion's",
        ),
    ] = SampleOptions.safety_checker,
    source_weight: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=WEIGHT",
            help="How often prompts of a real source are drawn, compared with the others (1 each); 0: never. May be "
            "repeated.",
        ),
    ] = None,
    images_per_prompt: Annotated[
        int,
        typer.Option(
            "--images-per-prompt",
            "--seeds-per-prompt",
            help="How often in a row each prompt is used, with different seeds. --seeds-per-prompt is the same.",
        ),
    ] = SampleOptions.images_per_prompt,
    evaluation_prompts: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            help="Share of the prompts that only the generators of --holdout get, and another such share for those of "
            "--validation: then these take no image out of training. Between 0 and 1.",
        ),
    ] = SampleOptions.evaluation_prompts,
    holdout: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND=VALUE",
            help="Generators that will be for evaluation: name=ORG/NAME, family=ORG/BASE (it and all its descendants), "
            "architecture=PixDiff, or after=2026-01-31 (first appeared after that day). May be repeated. "
            "cf-build-manifest holds them out.",
        ),
    ] = None,
    validation: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND=VALUE", help="Generators that will be for validation, as for --holdout. May be repeated."
        ),
    ] = None,
    store: Annotated[
        Store, typer.Option(help="Store images as files beside the rows, or inside the part files: far fewer files.")
    ] = SampleOptions.store,
    allow_pickle: Annotated[
        bool,
        typer.Option(
            "--allow-pickle", help="Also sample generators whose weights are pickles, loaded with weights_only."
        ),
    ] = SampleOptions.allow_pickle,
    only: Annotated[list[str] | None, typer.Option(metavar="NAME", help=f"Only these generators: {NAMED}")] = None,
    exclude: Exclude = None,
    license_allow: LicenseAllow = None,
    license_deny: LicenseDeny = None,
    max_size: MaxSize = SampleOptions.max_size,  # type: ignore[assignment]
    architecture: Architectures = None,
    limit: Annotated[
        int | None, typer.Option(help="Sample only this many compatible generators, those with the most downloads.")
    ] = SampleOptions.limit,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = SampleOptions.device,
    weights_dir: Annotated[
        Path | None,
        typer.Option(
            envvar="CF_WEIGHTS_DIR",
            help="Folder for downloaded weights, on a local disk. Default: a folder in the temporary directory.",
        ),
    ] = SampleOptions.weights_dir,
    max_disk: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE", help="Limit for the weights of all runs on this node, such as 200GB. Default: the disk."
        ),
    ] = SampleOptions.max_disk,  # type: ignore[assignment]
    timeout: Annotated[
        float, typer.Option(help="Seconds that loading a generator, or one batch, may take.")
    ] = SampleOptions.timeout,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Sample every failed generator again, also quarantined ones.")
    ] = SampleOptions.retry_failed,
    max_memory: Annotated[
        float | None,
        typer.Option(
            metavar="GB", help="Memory that the sampling process may use; 0: no limit. Default: 90 % of the machine's."
        ),
    ] = SampleOptions.max_memory,
    verify: Annotated[
        Verify,
        typer.Option(
            help="Damaged files that are made again: found by size and time of change, or by reading every file."
        ),
    ] = SampleOptions.verify,
    update: Annotated[
        bool,
        typer.Option(
            "--update",
            help="Settings may differ from the workspace's: what they add is another round (docs/rounds.md).",
        ),
    ] = SampleOptions.update,
    fail_above: Annotated[
        str,
        typer.Option(
            metavar="SHARE",
            help="Share of this shard's generators that may fail, such as 5%: exit code 3 where more did, else 0.",
        ),
    ] = SampleOptions.fail_above,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Show what would be sampled, and what it costs: time, disk, files, download. Works before captioning.",
        ),
    ] = False,
    device_speed: Annotated[
        str | None,
        typer.Option(
            metavar="DEVICE",
            help="With --dry-run: time on another device: h200, h100, a100, v100, l40s, l4, t4, rtx4090, rtx3090, cpu, "
            "or a number of nominal GPUs. Default: as measured.",
        ),
    ] = None,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate",
            help="Measure this device: sample one batch of a cheap, a middle and an expensive generator, keep nothing "
            "but the times, and show what --dry-run shows.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --dry-run: one line of JSON.")] = False,
    remake: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ROW",
            help="Make this image again into --into and say whether it is equal: ORG/NAME/00000162.png, ORG/NAME#162, "
            "a sha256, an image file, or a table of rows (.csv, .parquet). May be repeated.",
        ),
    ] = None,
    into: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for the images of --remake, and for the results.")
    ] = None,
) -> None:
    """Sample images from the generators of the catalogue.

    For each generator, its files are downloaded, a process without token and network samples images, and the files are
    removed. A safety checker checks every image; an image that it flags is never written. After an interruption, run
    the same command again to continue.

    Exit codes: 0, all images that were to be made are there; 3, some generators failed, and those of all others are
    there; 75, interrupted by a batch system; 1 and 2, an error. Of thousands of generators some always fail: a script
    that goes on all the same says `--fail-above 100%`.

    Examples:

        cf-sample --shard 3/16                        # on each of sixteen GPUs

        cf-sample --images 16 --only ORG/NAME         # a few images of one generator

        cf-sample --license-deny non-commercial,unknown --max-size 20GB   # what is left out, and why, is said

        cf-sample --shard 3/16 --dry-run              # what would be sampled, and what it costs

        cf-sample --dry-run --device-speed a100       # the same before there is a GPU

        cf-sample --evaluation-prompts 0.1 --holdout name=ORG/NAME   # no caption of its images is one of training

        cf-sample --images 400 --images-per-prompt 4  # a hundred prompts, four images of each

        cf-sample --fail-above 5% && cf-build-manifest  # goes on unless more than a twentieth failed

        cf-sample --width 768 --height 768 --settings settings.toml   # some generators with settings of their own

        cf-sample --update --images 600               # more images of each generator, those that are there stay

        cf-status --watch                             # the progress of all shards

        cf-sample --remake ORG/NAME/00000162.png --into again   # the same image once more: is it equal?

        cf-sample --remake rows.csv --into again --device cuda:0   # rows of the manifest or of a published dataset
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
    from samplers.prompting import parse_weights

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
        weights_dir=weights_dir,
        max_disk=max_disk,
        timeout=timeout,
        max_memory=max_memory,
        retry_failed=retry_failed,
        fail_above=fail_above,
        verify=verify,
        update=update,
    )
    space = Workspace.open(workspace)
    if not (dry_run or calibrate) and (device_speed is not None or as_json):
        raise UsageError("--device-speed and --json are for --dry-run: add it")
    if dry_run or calibrate:
        from samplers.forecast import forecast
        from samplers.forecast_text import show

        show(forecast(space, options, device_speed, calibrate=calibrate), as_json=as_json)
    else:
        from samplers.failed_share import FailedShare
        from samplers.summary import show_report
        from samplers.supervisor import sample as sample_shard

        report = sample_shard(space, options)
        show_report(space, report)
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
    for parameter in context.command.params:
        name = str(parameter.name)
        source = context.get_parameter_source(name)
        if name not in _WITH_REMAKE and source is not None and source.name == "COMMANDLINE":
            raise UsageError(f"--remake makes images as the workspace's recipe says: leave out {parameter.opts[0]}")
    if not workspace.is_dir():
        raise UsageError(f"--workspace {workspace} does not exist: name the workspace that sampled the images")
    from samplers.remaking.remake import remake

    remade = remake(Workspace(workspace.resolve()), rows, into, RemakeOptions(**options))
    for line in remade.lines():
        say(line)
    remade.require_equal()


def main() -> None:
    """The console script."""
    run_command(sample)
