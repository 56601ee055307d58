"""The data sets that are known by name; any other name is a folder tree of which nothing is known.

What a registered source says of its licence holds for every image that its copy on disk says nothing about.
"""

from captioning.sources.coco import read_coco
from captioning.sources.folder import read_folder
from captioning.sources.source import Source

KNOWN = {
    source.name: source
    for source in (
        Source(
            name="coco",
            reader=read_coco,
            title="COCO: Common Objects in Context",
            # No licence for all: its images are other people's, each with a licence of its own in the annotations.
            license_link="https://cocodataset.org/#termsofuse",
            citation="T.-Y. Lin et al.: Microsoft COCO: Common Objects in Context. ECCV 2014. arXiv:1405.0312",
        ),
    )
}
"""Name -> source."""


def source_named(name: str) -> Source:
    """The source of that name: a known one, or a folder tree whose licence is unknown."""
    return KNOWN.get(name) or Source(name=name, reader=read_folder)
