"""Tags of the Hub with which authors say that a model makes images for adults."""

import re

from crawler.catalog import CatalogEntry

#: The Hub's own tag (https://huggingface.co/docs/hub/model-cards), and those that authors write themselves.
_TAG = re.compile(r"not-for-all-audiences|(?:.*[^a-z])?(?:nsfw|porn|hentai|adult-content)(?:[^a-z].*)?", re.IGNORECASE)
#: What a model is that finds or avoids such images.
_AGAINST = re.compile(r"detect|classif|filter|safe|\b(?:no|non|not|anti)-nsfw", re.IGNORECASE)


def nsfw_tags(entry: CatalogEntry) -> tuple[str, ...]:
    """The tags of a model that say so, in their order."""
    return tuple(tag for tag in entry.tags if _TAG.fullmatch(tag) and not _AGAINST.search(tag))
