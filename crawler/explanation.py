"""One row of the catalogue with the source of each value (`cf-crawl --explain`)."""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

from crawler.catalog import CatalogEntry, Hyperparameters, ModelFile, read_catalog
from crawler.nsfw_tags import nsfw_tags
from workspace.errors import UsageError
from workspace.layout import Workspace
from workspace.number_text import counted
from workspace.size import text_of
from workspace.terminal import Console

_LISTED = "the Hub's list of models"
_SAID = "the file of cf-crawl --from"
_LICENSE = {
    "card": "front matter of README.md",
    "tag": "the Hub's tag",
    "user": _SAID,
    "none": "neither the card nor a tag",
}
_HYPERPARAMETERS = {
    "card": "README.md",
    "config": "a configuration of the repository",
    "base": "README.md of base_model",
    "default": "default of the pipeline class",
    "user": _SAID,
    None: "not given",
}
#: Sources that are the same for every row.
_SOURCES = {
    "model_name": _LISTED,
    "revision": _LISTED,
    "endpoint": "HF_ENDPOINT, or the default",
    "link": _SAID,
    "subset": "cf-crawl",
    "rank": "position in the Hub's list of models",
    "downloads": _LISTED,
    "downloads_all_time": _LISTED,
    "likes": _LISTED,
    "license_effective": "the column license_chain",
    "license_family_effective": "the column license_chain",
    "license_chain": "licences of this row and of its lineage",
    "hf_pipeline_tag": _LISTED,
    "tags": _LISTED,
    "task": "pipeline class in the installed diffusers",
    "kind": "files, else the Hub's tags",
    "base_model": "README.md, else the Hub's tags; the name that the Hub has now",
    "base_revision": "the Hub, when it was crawled",
    "lineage": "base_model of the rows in the catalogue",
    "unread_settings": "README.md",
    "files": "model_index.json and the Hub's list of files",
    "base_files": "model_index.json of base_model and the Hub's list of files",
    "single_file": _SAID,
    "adapter_file": "README.md, else names of the files",
    "embedding_file": "README.md, else names of the files",
    "embedding_tokens": "README.md, else token_identifier.txt",
    "prior_model": "README.md (prior)",
    "prior_revision": "the Hub, when it was crawled",
    "prior_files": "model_index.json of prior_model and the Hub's list of files",
    "trained_on": "not said",
    "program": "it is a pipeline of diffusers",
    "provider": "it is sampled here",
    "variant": "names of the files",
    "download_bytes": "sum of the sizes of files, base_files and prior_files",
    "gated": _LISTED,
    "created_at": _LISTED,
    "last_modified": _LISTED,
    "crawled_at": "clock",
    "round": "cf-crawl",
    "last_round": "cf-crawl",
    "further_revision": "cf-crawl",
    "status": "cf-crawl",
    "reason": "cf-crawl (crawler/reasons.py)",
    "reason_detail": "cf-crawl",
}
#: Those of a local generator that are others.
_LOCAL_SOURCES = {
    **dict.fromkeys(("model_name", "base_model", "trained_on", "program"), _SAID),
    **dict.fromkeys(("revision", "base_revision"), "SHA-256 of the files; of a repository of the Hub its commit"),
    "rank": f"place in {_SAID}, after the models of the Hub",
    "files": "model_index.json of the folder, or the single file",
    "base_files": "model_index.json of base_model",
    **dict.fromkeys(
        ("endpoint", "downloads", "downloads_all_time", "likes", "hf_pipeline_tag", "tags", "gated"), "not on a Hub"
    ),
    **dict.fromkeys(("created_at", "last_modified"), "not on a Hub"),
}


def print_explanation(workspace: Workspace, model_name: str) -> None:
    """Print the row of a model, one value per line; raises `UsageError` if the catalogue has no such model."""
    rows = sorted(read_catalog(workspace), key=lambda entry: entry.round)
    # Of a repository with several revisions, the newest; each also under its own name.
    entries = {name: entry for entry in rows for name in (entry.model_name, entry.generator)}
    if model_name not in entries:
        like = difflib.get_close_matches(model_name, entries, n=1)
        hint = f"; did you mean {like[0]}?" if like else ""
        raise UsageError(f"--explain {model_name}: {workspace.catalog} has no such model{hint}")
    console = Console()
    for line in in_short(entries[model_name]):
        console.print(line, soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    for title in ("column", "value", "source"):
        table.add_column(title, overflow="fold")
    for name, value, source in explain(entries[model_name]):
        # Text of others: no markup, no control characters.
        table.add_row(
            *(Text("".join(char if char.isprintable() else " " for char in cell)) for cell in (name, value, source))
        )
    console.print(table)


def in_short(entry: CatalogEntry) -> Iterator[str]:
    """What decides whether a model is wanted: its licence in effect, whether it is gated, its tags for adult content,
    its size, and whether it can be sampled."""
    own = entry.license or "none given"
    effective = entry.license_effective or "none given"
    of_base = f" (its own: {own}; the strictest of: {'; '.join(entry.license_chain)})" if own != effective else ""
    yield f"licence   {effective}, family {entry.license_family_effective}{of_base}"
    yield "gated     " + ("no" if entry.gated is None else f"{entry.gated}: accept the terms on the Hub, set HF_TOKEN")
    yield f"nsfw      {', '.join(nsfw_tags(entry)) or 'no tag says so'}"
    yield f"download  {text_of(entry.download_bytes)}"
    state = "can be sampled" if entry.status == "compatible" else f"{entry.reason}: {entry.reason_detail}"
    yield f"sampling  {state}"
    yield ""


def explain(entry: CatalogEntry) -> Iterator[tuple[str, str, str]]:
    """Name, value and source (in words) of each column of a row, in the order of the record."""
    of_card = {
        "license": _LICENSE[entry.license_source],
        "license_source": _LICENSE[entry.license_source],
        "license_family": "the column license",
        "license_name": _LICENSE["user" if entry.license_source == "user" else "card"],
        "license_link": _LICENSE["user" if entry.license_source == "user" else "card"],
        "hf_diffusers_tag": "model_index.json" + (" of base_model" if entry.base_files else ""),
        "architecture": entry.architecture_evidence,
        "architecture_evidence": "model_index.json",
    }
    sources = _SOURCES | (_LOCAL_SOURCES if entry.is_local else {})
    for field in fields(CatalogEntry):
        value = getattr(entry, field.name)
        if field.name == "hyperparameters":
            for setting in fields(Hyperparameters):
                source = getattr(entry.hyperparameter_sources, setting.name)
                yield setting.name, _shown(getattr(value, setting.name)), _HYPERPARAMETERS[source]
        elif field.name in ("files", "base_files", "prior_files"):
            yield field.name, _files(value), sources[field.name]
        elif field.name != "hyperparameter_sources":
            yield field.name, _shown(value), of_card.get(field.name) or sources[field.name]


def _files(files: Sequence[ModelFile]) -> str:
    return f"{counted(len(files), 'file')}, {text_of(sum(file.size for file in files))}"


def _shown(value: Any) -> str:
    if value is None or value == ():
        return "-"
    if is_dataclass(value):
        given = {field.name: getattr(value, field.name) for field in fields(value)}
        return "; ".join(f"{name} {_shown(one)}" for name, one in given.items() if one not in (None, ()))
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
