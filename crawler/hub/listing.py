"""Which repositories there are: the Hub's own ranking by downloads, a page a request and nothing per model.

Everything the listing can say is asked for at once (`expand`). LoRA and textual-inversion repositories carry the
`diffusers` tag like checkpoints do, so one listing serves all kinds; tags tell them apart until somebody looks
inside. Models move between pages while they are read: a model that comes twice counts once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

from crawler.hub.client import PAGE_SIZE, Hub
from crawler.options import DEFAULT_LIMIT, KINDS, CrawlOptions, Kind
from crawler.text import stated_text
from workspace.errors import UsageError
from workspace.layout import generator_folder

#: What the Hub is asked to say of each listed model.
EXPAND = (
    "createdAt",
    "disabled",
    "downloads",
    "downloadsAllTime",
    "gated",
    "lastModified",
    "likes",
    "pipeline_tag",
    "sha",
    "tags",
)
# A tag that only repositories of that kind carry.
_KIND_TAGS: dict[str, Kind] = {
    "lora": "lora",
    "template:sd-lora": "lora",
    "textual_inversion": "textual-inversion",
    "textual-inversion": "textual-inversion",
}


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which of the Hub's models a crawl takes; fields as in `crawler.options.CrawlOptions`, with a definite limit."""

    limit: int
    kinds: tuple[Kind, ...] = KINDS
    min_downloads: int = 0
    author: str | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    @classmethod
    def of(cls, options: CrawlOptions, names: Sequence[str] | None = None) -> "Selection":
        """The selection that the options ask for; `names` are the models of `options.from_file`."""
        return cls(
            limit=options.limit or (len(names) if names is not None else DEFAULT_LIMIT),
            kinds=options.kinds,
            min_downloads=options.min_downloads,
            author=options.author,
            include=tuple(options.include),
            exclude=tuple(options.exclude),
        )

    def takes(self, listed: "Listed") -> bool:
        """Whether a model is taken."""
        return (
            listed.downloads >= self.min_downloads and listed.kind in self.kinds and self.takes_name(listed.model_name)
        )

    def takes_name(self, name: str) -> bool:
        """Whether a model of this name may be taken."""
        return (
            (self.author is None or name.partition("/")[0].lower() == self.author.lower())
            and (not self.include or any(fnmatchcase(name, pattern) for pattern in self.include))
            and not any(fnmatchcase(name, pattern) for pattern in self.exclude)
        )


@dataclass(frozen=True, kw_only=True)
class Listed:
    """One model as the listing shows it; fields as in `crawler.catalog.CatalogEntry`."""

    model_name: str
    revision: str
    downloads: int
    downloads_all_time: int | None
    likes: int
    hf_pipeline_tag: str | None
    tags: tuple[str, ...]
    gated: Literal["auto", "manual"] | None
    disabled: bool
    created_at: str | None
    last_modified: str | None

    @property
    def kind(self) -> Kind:
        """What its tags say it is."""
        return next((_KIND_TAGS[tag] for tag in self.tags if tag in _KIND_TAGS), "checkpoint")

    @classmethod
    def parse(cls, row: Any) -> "Listed | None":
        """Read a row of the Hub's JSON; None when it names no model and commit, or has a name no folder can have."""
        if not isinstance(row, dict):
            return None
        name, revision = row.get("id"), row.get("sha")
        if not (isinstance(name, str) and isinstance(revision, str) and revision):
            return None
        try:
            generator_folder(name)
        except UsageError:
            return None
        gated, tags = row.get("gated"), row.get("tags")
        return cls(
            model_name=name,
            revision=revision,
            downloads=_count(row.get("downloads")) or 0,
            downloads_all_time=_count(row.get("downloadsAllTime")),
            likes=_count(row.get("likes")) or 0,
            hf_pipeline_tag=stated_text(row.get("pipeline_tag")),
            tags=tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else (),
            gated="manual" if gated == "manual" else "auto" if gated else None,
            disabled=row.get("disabled") is True,
            created_at=stated_text(row.get("createdAt")),
            last_modified=stated_text(row.get("lastModified")),
        )


def list_models(hub: Hub, selection: Selection) -> list[Listed]:
    """The selected models by downloads, most first, equal ones by name. Raises `HubError`."""
    taken: dict[str, Listed] = {}
    for listed in _rows(hub, selection):
        if listed.downloads < selection.min_downloads:
            break
        if selection.takes(listed):
            taken.setdefault(listed.model_name, listed)
        if len(taken) == selection.limit:
            break
    return sorted(taken.values(), key=lambda listed: (-listed.downloads, listed.model_name))


def _rows(hub: Hub, selection: Selection) -> Iterator[Listed]:
    params: dict[str, Any] = {
        "filter": "diffusers",
        "sort": "downloads",
        "limit": min(PAGE_SIZE, max(100, selection.limit)),
        "expand": list(EXPAND),
    }
    if selection.author is not None:
        params["author"] = selection.author
    for page in hub.models(params):
        for row in page:
            listed = Listed.parse(row)
            if listed is not None:
                yield listed


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
