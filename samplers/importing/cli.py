"""cf-import: images that others published."""

from pathlib import Path
from typing import Annotated

import typer

from samplers.importing.options import DEFAULT_SIMILAR, ImportOptions, Match
from samplers.options import StoreOption
from workspace.command_line import run_command
from workspace.errors import UsageError
from workspace.layout import Needs
from workspace.opening import opened
from workspace.parameters import WorkspaceOption
from workspace.terminal import say


def import_images(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="The generator, as ORG/NAME; ORG where several are found by a column or by folders; or FILE.toml, "
            "with a table for each.",
        ),
    ],
    path: Annotated[
        str | None,
        typer.Argument(
            metavar="PATH",
            help="A folder, a .zip, .tar or .parquet file, or hf://ORG/NAME[@REVISION][:CONFIG[/SPLIT]].",
        ),
    ] = None,
    architecture: Annotated[
        str | None, typer.Option(help="LatDiff, PixDiff, GAN, Other or Commercial (not known).")
    ] = None,
    license: Annotated[str | None, typer.Option(help="Licence of the images: an SPDX id, or a text.")] = None,
    real_source: Annotated[
        str | None,
        typer.Option(help="Real source of the images, by its name in prompts/: what they are paired with."),
    ] = None,
    trained_on: Annotated[
        str | None, typer.Option(help="Published name of the data set that the generator was trained on.")
    ] = None,
    subset: Annotated[str, typer.Option(help="Manual or Commercial.")] = ImportOptions.subset,
    generator_task: Annotated[
        str | None, typer.Option("--task", help="text-to-image, class-conditional or unconditional.")
    ] = None,
    base_model: Annotated[str | None, typer.Option(help="Repository of the model that it was made from.")] = None,
    link: Annotated[str | None, typer.Option(help="Page of the generator, or of the images.")] = None,
    folder: Annotated[
        str | None, typer.Option(metavar="PATTERN", help="Only images in these folders, such as '**/ai'.")
    ] = None,
    generator_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Column that says which generator an image is of.")
    ] = None,
    generator_folders: Annotated[
        bool, typer.Option("--generator-folders", help="The first folder says which generator an image is of.")
    ] = False,
    image_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Column of the images in Parquet files.")
    ] = None,
    prompt_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Column of the prompts, in Parquet files and tables.")
    ] = None,
    prompts: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Table with the prompts, by its path below PATH. Default: any beside them."),
    ] = None,
    match: Annotated[
        Match,
        typer.Option(
            help="What ties an image to a real image of --real-source: its prompt, which is the caption, the name of "
            "its file, or nothing."
        ),
    ] = ImportOptions.match,
    similar: Annotated[
        str,
        typer.Option(
            metavar="BITS|none",
            help="Leave out images whose perceptual hash differs from an earlier one's in at most so many of 64 bits.",
        ),
    ] = str(DEFAULT_SIMILAR),
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="Write what became of each file into this table.")
    ] = None,
    update: Annotated[
        bool, typer.Option("--update", help="Add generators to a workspace that was sampled, in another round.")
    ] = False,
    store: Annotated[StoreOption, typer.Option(help="As of cf-sample.")] = ImportOptions.store,
    safety_checker: Annotated[
        str | None,
        typer.Option(
            metavar="REPO[@REVISION]", help="Safety checker. Default: that of this workspace, or Stable Diffusion's."
        ),
    ] = None,
    device: Annotated[
        str, typer.Option(help="auto, cpu or cuda:N: where the safety checker runs.")
    ] = ImportOptions.device,
    weights_dir: Annotated[
        Path | None, typer.Option(envvar="CF_WEIGHTS_DIR", help="Folder for the safety checker's files.")
    ] = None,
    workspace: WorkspaceOption = Path("workspace"),
) -> None:
    """Import images that others made, with their bytes as they are.

    Each is decoded and checked by the safety checker; prompts come from tables, from files beside the images, from
    columns and from what the files say. Every file is accounted for. The same command continues after an interruption.

        cf-import others/gigagan images/ --architecture GAN --license other --real-source coco

        cf-import generators/benchmarks/genimage.toml /data/GenImage

        cf-import diffusiondb hf://ORG/NAME --generator-column model --architecture LatDiff --license cc0-1.0
    """
    from samplers.importing.command import described_by
    from samplers.importing.stage import import_images as import_all

    options = ImportOptions(
        architecture=architecture,
        license=license,
        real_source=real_source,
        trained_on=trained_on,
        subset=subset,
        task=generator_task,
        base_model=base_model,
        link=link,
        folder=folder,
        generator_column=generator_column,
        generator_folders=generator_folders,
        image_column=image_column,
        prompt_column=prompt_column,
        prompts=prompts,
        match=match,
        similar=_bits(similar),
        store=store,
        safety_checker=safety_checker,
        device=device,
        weights_dir=weights_dir,
        update=update,
        report=report,
    )
    what = described_by(name, path, options)
    with opened(workspace, Needs(images=False)) as space:
        account = import_all(space, what, options)
    for line in account.lines():
        say(line)


def _bits(text: str) -> int | None:
    if text == "none":
        return None
    try:
        return int(text)
    except ValueError as error:
        raise UsageError(f"--similar {text}: must be a number of bits, or none") from error


def main() -> None:
    """The console script."""
    run_command(import_images)
