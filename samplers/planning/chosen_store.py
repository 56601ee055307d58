"""Where images are stored when the user does not say: in files, which people can look at, or inside the part files,
which are few."""

from collections.abc import Sequence

from crawler.catalog import CatalogEntry
from samplers.options import SampleOptions, Store
from samplers.planning.recipe import Recipe
from workspace.file_system import network_file_system
from workspace.layout import Workspace

#: Images of all generators together above which they are inside the part files.
MOST_FILES = 100_000


def chosen_store(
    workspace: Workspace, options: SampleOptions, former: Sequence[Recipe], chosen: Sequence[CatalogEntry]
) -> tuple[Store, str | None]:
    """The store of `options`, for the chosen generators; and why, where that should be said. A workspace keeps what its
    recipe says."""
    if options.store != "auto":
        return options.store, None
    if former:
        return former[-1].store, None
    network = network_file_system(workspace.root)
    images = sum(options.user_settings.images(entry, options.images) for entry in chosen)
    if workspace.remote is not None:
        why = "the workspace is in an object store"
    elif network is not None:
        why = f"the workspace is on a network file system ({network})"
    elif images > MOST_FILES:
        why = f"the chosen generators owe {images:,} images"
    else:
        return "files", None
    return "parquet", f"images are stored inside the part files, because {why}; --store files stores each as a file"
