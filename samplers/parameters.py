"""The options of `cf-sample`, in the panels of its help."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from crawler.choice_parameters import WHICH_GENERATORS
from engines.parameters import SEVERAL_MACHINES
from samplers.options import StoreOption, Verify

_WHAT = "What is sampled"
_SETTINGS = "Settings of the generators"
_MACHINE = "This machine"
_BEFORE = "Before the run"
_AGAIN = "Made again"
_COMMERCIAL = "Commercial generators"

Images: TypeAlias = Annotated[int, typer.Option(help="Images to keep of each generator.", rich_help_panel=_WHAT)]
BatchSize: TypeAlias = Annotated[
    int | None,
    typer.Option(help="Images of one batch. Default: 8, or --images where that is less.", rich_help_panel=_WHAT),
]
MaxTries: TypeAlias = Annotated[
    int | None,
    typer.Option(
        help="Maximum number of images to sample, rejected ones included. Default: twice --images.",
        rich_help_panel=_WHAT,
    ),
]
Seed: TypeAlias = Annotated[
    int, typer.Option(help="Random seed: each value gives other images.", rich_help_panel=_WHAT)
]
ImagesPerPrompt: TypeAlias = Annotated[
    int,
    typer.Option(
        "--images-per-prompt",
        "--seeds-per-prompt",
        help="How often in a row each prompt is used, with different seeds. --seeds-per-prompt is the same.",
        rich_help_panel=_WHAT,
    ),
]
SourceWeight: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=WEIGHT",
        help="How often prompts of a real source are drawn, compared with the others (1 each); 0: never. May be "
        "repeated.",
        rich_help_panel=_WHAT,
    ),
]
EvaluationPrompts: TypeAlias = Annotated[
    float,
    typer.Option(
        metavar="SHARE",
        help="Share of the prompts that only the generators of --holdout get, and another such share for those of "
        "--validation: then these take no image out of training. Between 0 and 1.",
        rich_help_panel=_WHAT,
    ),
]
Holdout: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KIND=VALUE",
        help="Generators that will be for evaluation: name=ORG/NAME, family=ORG/BASE (it and all its descendants), "
        "architecture=PixDiff, subset=Commercial, file=FILES (the generators of TOML files), or after=2026-01-31 "
        "(first appeared after that day). May be repeated. "
        "cf-build-manifest holds them out.",
        rich_help_panel=_WHAT,
    ),
]
Validation: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KIND=VALUE",
        help="Generators that will be for validation, as for --holdout. May be repeated.",
        rich_help_panel=_WHAT,
    ),
]
Update: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--update",
        help="Settings may differ from the workspace's: what they add is another round (docs/rounds.md).",
        rich_help_panel=_WHAT,
    ),
]
SafetyChecker: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="REPO[@REVISION]",
        help="Repository of the safety checker that checks every image.",
        show_default="Stable Diffusion's",
        rich_help_panel=_WHAT,
    ),
]
Store: TypeAlias = Annotated[
    StoreOption,
    typer.Option(
        help="Store images as files beside the rows, or inside the part files: far fewer files. auto: as the "
        "workspace has them; in a new one inside the part files where they would be more than 100,000, or on a "
        "network file system.",
        rich_help_panel=_WHAT,
    ),
]
Steps: TypeAlias = Annotated[
    int | None, typer.Option(help="Denoising steps, instead of each generator's own.", rich_help_panel=_SETTINGS)
]
Width: TypeAlias = Annotated[int | None, typer.Option(help="Width in pixels, likewise.", rich_help_panel=_SETTINGS)]
Height: TypeAlias = Annotated[int | None, typer.Option(help="Height in pixels, likewise.", rich_help_panel=_SETTINGS)]
GuidanceScale: TypeAlias = Annotated[
    float | None, typer.Option(help="Scale of the classifier-free guidance, likewise.", rich_help_panel=_SETTINGS)
]
NegativePrompt: TypeAlias = Annotated[
    str | None, typer.Option(metavar="TEXT", help='Negative prompt, likewise; "" for none.', rich_help_panel=_SETTINGS)
]
Scheduler: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="CLASS",
        help="Scheduler class of diffusers, likewise, such as DDIMScheduler.",
        rich_help_panel=_SETTINGS,
    ),
]
Settings: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.toml",
        help="Settings of some generators, a table each, which win over the options: "
        '["ORG/NAME"] or ["ORG/*"] with any of steps, width, height, guidance_scale, negative_prompt, scheduler '
        "and images.",
        rich_help_panel=_SETTINGS,
    ),
]
Limit: TypeAlias = Annotated[
    int | None,
    typer.Option(
        help="Sample only this many compatible generators, those with the most downloads.",
        rich_help_panel=WHICH_GENERATORS,
    ),
]
AllowPickle: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--allow-pickle",
        help="Also sample generators whose weights are pickles, loaded with weights_only.",
        rich_help_panel=WHICH_GENERATORS,
    ),
]
RetryFailed: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--retry-failed",
        help="Sample every failed generator again, also quarantined ones.",
        rich_help_panel=WHICH_GENERATORS,
    ),
]
Device: TypeAlias = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.", rich_help_panel=_MACHINE)]
Devices: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="DEVICES",
        help="Several devices of this machine, a process each, which divide shard and memory: all (GPUs), 0,2, or "
        "cpu:4 for four processes on the CPU.",
        rich_help_panel=_MACHINE,
    ),
]
WeightsDir: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        envvar="CF_WEIGHTS_DIR",
        help="Folder for downloaded weights, on a local disk. Default: a folder in the temporary directory.",
        rich_help_panel=_MACHINE,
    ),
]
MaxDisk: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help="Limit for the weights of all runs on this node, such as 200GB. Default: the disk.",
        rich_help_panel=_MACHINE,
    ),
]
MaxMemory: TypeAlias = Annotated[
    float | None,
    typer.Option(
        metavar="GB",
        help="Memory that the sampling process may use; 0: no limit. Default: 90 % of the machine's.",
        rich_help_panel=_MACHINE,
    ),
]
Timeout: TypeAlias = Annotated[
    float, typer.Option(help="Seconds that loading a generator, or one batch, may take.", rich_help_panel=_MACHINE)
]
VerifyOption: TypeAlias = Annotated[
    Verify,
    typer.Option(
        help="Damaged files that are made again: found by size and time of change, or by reading every file.",
        rich_help_panel=_MACHINE,
    ),
]
Shard: TypeAlias = Annotated[
    str,
    typer.Option(
        help="Share of the generators to sample: 3/16 is the third of sixteen, of about equal duration; auto: what "
        "SLURM, Grid Engine, LSF, torchrun or MPI tells this process.",
        rich_help_panel=SEVERAL_MACHINES,
    ),
]
HelpOthers: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--help-others/--no-help",
        help="When nothing of this shard is left, sample what other shards have not begun, and parts of generators "
        "that other processes are at; or end.",
        rich_help_panel=SEVERAL_MACHINES,
    ),
]
Offline: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--offline",
        help="Never ask the Hub: wait for the files that `cf-fetch` puts into --weights-dir, on another machine.",
        rich_help_panel=SEVERAL_MACHINES,
    ),
]
Wait: TypeAlias = Annotated[
    float,
    typer.Option(
        metavar="SECONDS",
        help="With --offline: how long to wait for files while no `cf-fetch` runs that fetches them.",
        rich_help_panel=SEVERAL_MACHINES,
    ),
]
FailAbove: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="SHARE",
        help="Share of this shard's generators that may fail, such as 5%: exit code 3 where more did, else 0.",
        rich_help_panel=SEVERAL_MACHINES,
    ),
]
DryRun: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Show what would be sampled, and what it costs: time, disk, files, download. Works before captioning.",
        rich_help_panel=_BEFORE,
    ),
]
Calibrate: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--calibrate",
        help="Measure this device: sample one batch of a cheap, a middle and an expensive generator, keep nothing "
        "but the times, and show what --dry-run shows.",
        rich_help_panel=_BEFORE,
    ),
]
DeviceSpeed: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="DEVICE",
        help="With --dry-run: time on another device: h200, h100, a100, v100, l40s, l4, t4, rtx4090, rtx3090, cpu, "
        "or a number of nominal GPUs. Default: as measured.",
        rich_help_panel=_BEFORE,
    ),
]
AsJson: TypeAlias = Annotated[
    bool, typer.Option("--json", help="With --dry-run: one line of JSON.", rich_help_panel=_BEFORE)
]
Remake: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ROW",
        help="Make this image again into --into and say whether it is equal: ORG/NAME/00000162.png, ORG/NAME#162, "
        "a sha256, an image file, or a table of rows (.csv, .parquet). May be repeated.",
        rich_help_panel=_AGAIN,
    ),
]
Into: TypeAlias = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder for the images of --remake, and for the results.", rich_help_panel=_AGAIN),
]
Remote: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PROVIDER/MODEL",
        help="Request images of a commercial generator from its provider, by the same plan: openai/MODEL, an "
        "inference provider of Hugging Face such as together/ORG/MODEL, or a TOML file. The key is read from the "
        "environment. May be repeated.",
        rich_help_panel=_COMMERCIAL,
    ),
]
MaxImages: TypeAlias = Annotated[
    int | None,
    typer.Option(
        help="With --remote: images that may be paid for, in all runs; the run ends before more are.",
        rich_help_panel=_COMMERCIAL,
    ),
]
MaxCost: TypeAlias = Annotated[
    float | None,
    typer.Option(
        metavar="DOLLARS", help="With --remote: US dollars that may be spent, likewise.", rich_help_panel=_COMMERCIAL
    ),
]
Requests: TypeAlias = Annotated[
    int, typer.Option(help="With --remote: requests that are on their way together.", rich_help_panel=_COMMERCIAL)
]
RepeatUnanswered: TypeAlias = Annotated[
    int,
    typer.Option(
        metavar="TIMES",
        help="With --remote: how often a request is sent again whose answer did not come, and which may be paid.",
        rich_help_panel=_COMMERCIAL,
    ),
]
