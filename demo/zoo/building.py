"""Putting the zoo on an embedded Hub, one repository after the other.

A repository is built in a temporary folder and then added as one commit. So after an interrupt each repository is
complete or missing, and the next run builds the missing ones.
"""

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from demo.zoo.catalogue import repositories
from demo.zoo.repository import Repository
from localhub.store import Store
from workspace.progress import task

KIND = "model"


def fill(hub_directory: Path) -> None:
    """Put all repositories of the zoo that are still missing on the Hub in `hub_directory`."""
    store = Store(hub_directory)
    missing = [repository for repository in repositories() if not is_built(store, repository)]
    if not missing:
        return
    with quiet_libraries(), task("Building the zoo", len(missing)) as building:
        for repository in missing:
            put(store, repository)
            building.advance(note=repository.repo_id)


def put(store: Store, repository: Repository) -> str:
    """Build a repository and commit it; returns the commit's id."""
    with tempfile.TemporaryDirectory(prefix="zoo-") as folder:
        repository.build(Path(folder))
        store.create(
            KIND,
            repository.repo_id,
            downloads=repository.downloads,
            likes=repository.likes,
            gated=repository.gated,
            disabled=repository.disabled,
            created_at=repository.created_at,
            exist_ok=True,
        )
        files = {path.relative_to(folder).as_posix(): path for path in Path(folder).rglob("*") if path.is_file()}
        return store.commit(
            KIND,
            repository.repo_id,
            add=dict(sorted(files.items())),
            message="Upload folder using huggingface_hub",
            date=repository.created_at,
            commit_id=repository.commit_id,
        )


def is_built(store: Store, repository: Repository) -> bool:
    """Whether the Hub has the commit with the files, after the first commit that every repository has."""
    if not store.exists(KIND, repository.repo_id):
        return False
    return store.commit_of(store.repo(KIND, repository.repo_id)).parent is not None


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """A block without the progress bars and messages that diffusers and transformers print for every component."""
    import diffusers.utils.logging
    import transformers.utils.logging

    libraries = (diffusers.utils.logging, transformers.utils.logging)
    levels = [library.get_verbosity() for library in libraries]
    for library in libraries:
        library.set_verbosity_error()
        library.disable_progress_bar()
    try:
        with warnings.catch_warnings(category=FutureWarning, action="ignore"):
            yield
    finally:
        for library, level in zip(libraries, levels, strict=True):
            library.set_verbosity(level)
            library.enable_progress_bar()
