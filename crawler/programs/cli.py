"""cf-add: programs -> workspace/catalog.parquet."""

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from crawler.options import AddOptions
from workspace import command_line
from workspace.parameters import WorkspaceOption


def add(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE.toml", help="What the programs are, or the name of a file in generators/manual, such as adm."
        ),
    ],
    workspace: WorkspaceOption = Path("workspace"),
    files: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Where the files that the tables name are.  [default: the folder of FILE.toml]"
        ),
    ] = AddOptions.files,
    only: Annotated[
        list[str] | None, typer.Option(metavar="ORG/NAME", help="Only these generators of the file. May be repeated.")
    ] = None,
    update: Annotated[
        bool, typer.Option("--update", help="Add to a workspace that was sampled, as another round (docs/rounds.md).")
    ] = AddOptions.update,
    replace_revisions: Annotated[
        bool,
        typer.Option(
            "--replace-revisions", help="With --update: generators with a new revision get no more images of the old."
        ),
    ] = AddOptions.replace_revisions,
) -> None:
    """Add generators that are no diffusers pipelines to the catalogue: Python modules, TorchScript, torch.export, ONNX.

    The files are hashed here, and run by cf-sample in its sampling process, which has neither the token nor the
    network. A module is code that you trust, as you run it: add none that you would not run yourself.

    Examples:

        cf-add faces.toml

        cf-add stylegan2 --files ~/stylegan --only manual/stylegan2-ffhq
    """
    from crawler.programs.adding import add_programs
    from crawler.programs.shipped import shipped
    from crawler.programs.summary import print_summary
    from workspace.opening import opened

    options = AddOptions(files=files, only=tuple(only or ()), update=update, replace_revisions=replace_revisions)
    with opened(workspace) as space:
        print_summary(add_programs(space, shipped(file), options), space.catalog)


def main() -> NoReturn:
    """Run the command line."""
    command_line.run_command(add)


if __name__ == "__main__":
    main()
