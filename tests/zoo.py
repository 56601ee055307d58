"""The demo's zoo, built once for all tests of a run, by the first process that needs it."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from filelock import FileLock

from demo.zoo.building import KIND, fill
from localhub.store import Store


def zoo() -> Path:
    """The directory of a Hub with all repositories of the zoo. All tests of a run share it: do not write to it."""
    folder = Path(os.environ["CF_TESTS_FOLDER"])
    built = folder / "zoo"
    with FileLock(folder / "zoo.lock"):
        if not built.exists():
            unfinished = folder / "zoo-unfinished"
            fill(unfinished)
            unfinished.rename(built)
    return built


def copy_zoo(directory: Path, repo_ids: Iterable[str] | None = None) -> None:
    """Make `directory` a Hub with these repositories of the zoo (None: all); it may be written to.

    Where a build of the zoo was interrupted, this completes it: every build has the same files.
    """
    source = Store(zoo())
    for repo_id in source.repo_ids(KIND) if repo_ids is None else repo_ids:
        shutil.copytree(source.root / f"{KIND}s" / repo_id, directory / f"{KIND}s" / repo_id, dirs_exist_ok=True)
        for commit in source.history(repo := source.repo(KIND, repo_id), source.commit_of(repo)):
            for file in commit.files.values():
                blob = Store(directory).blobs.path(file.sha256)
                if not blob.exists():
                    blob.parent.mkdir(parents=True, exist_ok=True)
                    # A blob that exists is never written to.
                    os.link(source.blobs.path(file.sha256), blob)


def write_files(repo_id: str, folder: Path) -> None:
    """Write the files of a repository of the zoo into `folder`."""
    source = Store(zoo())
    for path, file in source.commit_of(source.repo(KIND, repo_id)).files.items():
        if path != ".gitattributes":
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source.blobs.path(file.sha256), folder / path)
