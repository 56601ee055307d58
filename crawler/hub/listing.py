"""The models of the Hub by downloads: one request for each page of the list, none for each model.

One request gets every field that the list can have (`expand`). Repositories of LoRAs and textual inversions have the
tag `diffusers` like checkpoints, so one list has all kinds. Where only some kinds are selected, the list is requested
with the names of the files, because tags do not always tell the kind: whole pipelines have the tag `lora`, too. Models
move between pages while these are read: a model that is listed twice counts once.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from crawler.choice import Choice
from crawler.hub.client import PAGE_SIZE, Hub
from crawler.hub.repository import Description
from crawler.kinds import kind_of
from crawler.options import DEFAULT_LIMIT, KINDS, CrawlOptions, Kind
from crawler.text import stated_text
from workspace.repo_id import is_repo_id

#: Fields of each model that the list is requested with.
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


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The models that a crawl selects; fields as in `crawler.options.CrawlOptions`, `limit` resolved.

    Of `choice` only names count here: a model must be inspected to know its licence, size and architecture."""

    limit: int
    kinds: tuple[Kind, ...] = KINDS
    min_downloads: int = 0
    author: str | None = None
    choice: Choice = Choice()

    @classmethod
    def of(cls, options: CrawlOptions, names: Sequence[str] | None = None) -> "Selection":
        """The selection of these options; `names` are the models in `options.from_file`."""
        return cls(
            limit=options.limit or (len(names) if names is not None else DEFAULT_LIMIT),
            kinds=options.kinds,
            min_downloads=options.min_downloads,
            author=options.author,
            choice=Choice.of(options.include, options),
        )

    def matches(self, listed: "ListedModel") -> bool:
        """Whether a model is selected, the limit aside."""
        return (
            listed.downloads >= self.min_downloads
            and listed.kind in self.kinds
            and self.matches_name(listed.model_name)
        )

    def matches_name(self, name: str) -> bool:
        """Whether a model of this name can be selected."""
        is_author = self.author is None or name.partition("/")[0].lower() == self.author.lower()
        return is_author and self.choice.option_against(name) is None


@dataclass(frozen=True, kw_only=True)
class ListedModel:
    """A model as the list has it; fields as in `crawler.catalog.CatalogEntry`."""

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
    #: By its files if the Hub lists them here, else by its tags.
    kind: Kind

    @classmethod
    def parse(cls, row: Any) -> "ListedModel | None":
        """A row of the Hub's JSON; None if it has no name or no commit, or a name that cannot be a folder."""
        if not isinstance(row, dict):
            return None
        name, revision = row.get("id"), row.get("sha")
        if not (isinstance(name, str) and is_repo_id(name) and isinstance(revision, str) and revision):
            return None
        gated, given = row.get("gated"), row.get("tags")
        tags = tuple(tag for tag in given if isinstance(tag, str)) if isinstance(given, list) else ()
        return cls(
            model_name=name,
            revision=revision,
            downloads=_count(row.get("downloads")) or 0,
            downloads_all_time=_count(row.get("downloadsAllTime")),
            likes=_count(row.get("likes")) or 0,
            hf_pipeline_tag=stated_text(row.get("pipeline_tag")),
            tags=tags,
            gated="manual" if gated == "manual" else "auto" if gated else None,
            disabled=row.get("disabled") is True,
            created_at=stated_text(row.get("createdAt")),
            last_modified=stated_text(row.get("lastModified")),
            kind=kind_of(tags, _paths(row.get("siblings"))),
        )


@dataclass(frozen=True)
class ModelList:
    """The selected models by downloads, most first."""

    models: list[ListedModel]
    #: What the Hub told of each beside the list; empty after `list_models`.
    descriptions: Mapping[str, Description] = field(default_factory=dict)
    #: Requested names that the Hub has no model of, sorted.
    missing: tuple[str, ...] = ()
    #: Requested names about which the Hub did not answer, each with its reason, sorted.
    failed: tuple[str, ...] = ()
    #: How many models --only and --exclude left out until the limit was reached, by option.
    left_out: Mapping[str, int] = field(default_factory=dict)


def list_models(hub: Hub, selection: Selection) -> ModelList:
    """The selected models by downloads, most first; equal ones by name. Raises `HubError`."""
    selected: dict[str, ListedModel] = {}
    left_out: dict[str, str] = {}
    for listed in _rows(hub, selection):
        if listed.downloads < selection.min_downloads:
            break
        option = selection.choice.option_against(listed.model_name)
        if option is not None:
            left_out[listed.model_name] = option
        elif selection.matches(listed):
            selected.setdefault(listed.model_name, listed)
        if len(selected) == selection.limit:
            break
    models = sorted(selected.values(), key=lambda listed: (-listed.downloads, listed.model_name))
    return ModelList(models, left_out=Counter(left_out.values()))


def _rows(hub: Hub, selection: Selection) -> Iterator[ListedModel]:
    params: dict[str, Any] = {
        "filter": "diffusers",
        "sort": "downloads",
        "limit": min(PAGE_SIZE, max(100, selection.limit)),
        "expand": [*EXPAND, *(() if set(selection.kinds) == set(KINDS) else ("siblings",))],
    }
    if selection.author is not None:
        params["author"] = selection.author
    for page in hub.models(params):
        for row in page:
            listed = ListedModel.parse(row)
            if listed is not None:
                yield listed


def _paths(siblings: Any) -> frozenset[str] | None:
    """Names of the files in a row of the list; None: it has none."""
    if not isinstance(siblings, list):
        return None
    paths = (row.get("rfilename") for row in siblings if isinstance(row, dict))
    return frozenset(path for path in paths if isinstance(path, str))


def _count(value: Any) -> int | None:
    """A number of downloads or likes; None: there is none, or one that is larger than any reader of tables keeps."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else None
