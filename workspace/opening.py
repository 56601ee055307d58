"""The workspace that a command names: a folder, or an address of an object store."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workspace.errors import UsageError
from workspace.layout import Needs, Workspace


@contextmanager
def opened(workspace: Workspace | Path | str, needs: Needs = Needs(), *, create: bool = True) -> Iterator[Workspace]:
    """A block with the workspace; of a folder nothing else happens, and at an object store its end sends what was made.

    `create`: whether a folder is made where there is none. Raises `UsageError` where there is no workspace, and as
    `objects.workspace.opened_objects`.
    """
    if isinstance(workspace, Workspace):
        yield workspace
    elif is_address(workspace):
        from workspace.objects.workspace import opened_objects

        with opened_objects(str(workspace), needs) as space:
            yield space
    elif create:
        yield Workspace.open(workspace)
    else:
        folder = Path(workspace)
        if not folder.is_dir():
            raise UsageError(f"{folder} does not exist: name the folder of a workspace")
        yield Workspace(folder.resolve())


def is_address(workspace: Path | str) -> bool:
    """Whether it is an address of an object store; a `Path` of one has lost its second slash."""
    return str(workspace).startswith("s3:/")


def require_folder(workspace: Path | str, command: str) -> None:
    """Raise `UsageError` for an address: this command works in a folder only."""
    if is_address(workspace):
        raise UsageError(
            f"{command} works on a folder only, not on {workspace}: copy the workspace to a disk, run {command} there, "
            "and copy it back while nothing else uses it"
        )
