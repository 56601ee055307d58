"""The command line `cf-export`."""

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from manifests.options import ExportOptions, TreeName
from workspace import command_line
from workspace.errors import UsageError
from workspace.layout import Needs
from workspace.opening import opened
from workspace.parameters import WorkspaceOption
from workspace.terminal import say


def main() -> NoReturn:
    """Entry point of cf-export."""
    command_line.run_command(_export)


def _export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that is empty or does not exist.")],
    layout: Annotated[TreeName, typer.Option(help="The tree that your detector's code reads.")],
    workspace: WorkspaceOption = Path("workspace"),
    split: Annotated[
        list[str] | None,
        typer.Option(
            metavar="train|validation|test",
            help="Which images; several with commas. [default: all splits that the manifest has]",
        ),
    ] = None,
    link: Annotated[
        bool, typer.Option("--link", help="Hard links instead of copies, where the file system allows it.")
    ] = ExportOptions.link,
    jpeg: Annotated[
        str | None,
        typer.Option(
            metavar="QUALITY,...",
            help="For each quality one more tree in which all images, real and generated, are encoded as JPEG.",
        ),
    ] = None,
    resize: Annotated[
        str | None,
        typer.Option(
            metavar="N|WxH",
            help="In one more tree all images have this shorter side, or this width and height; PNG without --jpeg.",
        ),
    ] = ExportOptions.resize,
) -> None:
    """Export the manifest's images as a folder tree that public detectors' code reads.

    real-fake: GENERATOR/{real,fake}/, for the study's --additional_train_data and --additional_test_data; with several
    splits one tree each. 0_real-1_fake: {train,val,test}/GENERATOR/{0_real,1_fake}/, for CNNDetection,
    UniversalFakeDetect, SIDBench and AIGCDetectBenchmark. genimage: GENERATOR/{train,val}/{nature,ai}/. imagefolder:
    {train,validation,test}/{real,fake}/, for torchvision. imagefolder-generators: the same with a class for each
    generator.

    Every generator has as many real images as generated ones: the one whose caption was the prompt, else one of the
    same source and the nearest size. Files keep their bytes; --jpeg and --resize make other trees beside them.
    export.csv and export.parquet list every file. An interrupted export is continued by the same command.

    Examples:

        cf-export test-images --layout 0_real-1_fake --split test

        cf-export all-images --layout real-fake --link

        cf-export robustness --layout 0_real-1_fake --split test --jpeg 90,75,50

        cf-export same-size --layout imagefolder --resize 256x256 --jpeg 95
    """
    options = ExportOptions(
        layout=layout,
        split=tuple(name for names in split or () for name in names.split(",")),
        link=link,
        jpeg=_qualities(jpeg),
        resize=resize,
    )
    from manifests.exporting.export import export

    with opened(workspace, Needs(writes=False, images=True, manifest=True)) as space:
        for line in export(space, folder, options).lines():
            say(line)


def _qualities(text: str | None) -> tuple[int, ...]:
    try:
        return tuple(int(quality) for quality in text.split(",")) if text is not None else ()
    except ValueError as error:
        raise UsageError(f"--jpeg {text!r}: give qualities with commas between them, such as 90,75") from error
