"""One row of the catalogue, each value with where it comes from."""

import difflib
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from crawler.catalog import CatalogEntry, Hyperparameters, read_catalog
from workspace.errors import UsageError
from workspace.layout import Workspace

_LISTED = "the Hub's listing"
_LICENSE = {"card": "README.md, its front matter", "tag": "the Hub's tag", "none": "neither card nor tag"}
_HYPERPARAMETERS = {
    "card": "README.md",
    "config": "the repository's configuration",
    "default": "default of the pipeline's call",
    None: "nobody says",
}
#: What does not depend on the row.
_ORIGINS = {
    "model_name": _LISTED,
    "revision": _LISTED,
    "subset": "how it was found",
    "rank": "its place in the listing",
    "downloads": _LISTED,
    "downloads_all_time": _LISTED,
    "likes": _LISTED,
    "hf_pipeline_tag": _LISTED,
    "tags": _LISTED,
    "task": "the call of its class, in the installed diffusers",
    "kind": "its files, else its tags",
    "base_model": "README.md, else the Hub's tag",
    "base_revision": "the Hub, at the time of the crawl",
    "lineage": "base_model, followed through the catalogue",
    "files": "model_index.json, and the Hub's list of files",
    "base_files": "model_index.json of base_model, and the Hub's list of its files",
    "variant": "the names of the files",
    "download_bytes": "the sum of its files",
    "gated": _LISTED,
    "created_at": _LISTED,
    "last_modified": _LISTED,
    "crawled_at": "the clock",
    "status": "the verdict of cf-crawl",
    "reason": "the verdict of cf-crawl (crawler/reasons.py)",
    "reason_detail": "the verdict of cf-crawl",
}


def print_explanation(workspace: Workspace, model_name: str) -> None:
    """Print the row of a model, one value a line; raises `UsageError` when the catalogue has no such model."""
    entries = {entry.model_name: entry for entry in read_catalog(workspace)}
    if model_name not in entries:
        like = difflib.get_close_matches(model_name, entries, n=1)
        hint = f"; did you mean {like[0]}?" if like else ""
        raise UsageError(f"--explain {model_name}: {workspace.catalog} has no such model{hint}")
    table = Table(box=None, pad_edge=False)
    for title in ("what", "value", "from"):
        table.add_column(title, overflow="fold")
    for name, value, origin in explain(entries[model_name]):
        # A stranger's text is text: no markup, no control characters.
        table.add_row(
            *(Text("".join(char if char.isprintable() else " " for char in cell)) for cell in (name, value, origin))
        )
    Console(highlight=False).print(table)


def explain(entry: CatalogEntry) -> Iterator[tuple[str, str, str]]:
    """Every field of a row in the order of the record: name, value and origin, in words."""
    of_card = {
        "license": _LICENSE[entry.license_source],
        "license_source": _LICENSE[entry.license_source],
        "license_family": f"the licence {entry.license}" if entry.license else "no licence",
        "license_name": _LICENSE["card"],
        "license_link": _LICENSE["card"],
        "hf_diffusers_tag": "model_index.json" + (" of base_model" if entry.kind != "checkpoint" else ""),
        "architecture": entry.architecture_evidence,
        "architecture_evidence": "model_index.json",
    }
    for field in fields(CatalogEntry):
        value = getattr(entry, field.name)
        if field.name == "hyperparameters":
            for setting in fields(Hyperparameters):
                source = getattr(entry.hyperparameter_sources, setting.name)
                yield setting.name, _shown(getattr(value, setting.name)), _HYPERPARAMETERS[source]
        elif field.name in ("files", "base_files"):
            yield field.name, f"{len(value)} files, {sum(file.size for file in value):,} bytes", _ORIGINS[field.name]
        elif field.name != "hyperparameter_sources":
            yield field.name, _shown(value), of_card.get(field.name) or _ORIGINS[field.name]


def _shown(value: Any) -> str:
    if value is None or value == ():
        return "-"
    return ", ".join(value) if isinstance(value, tuple) else str(value)
