"""Generators on an embedded Hub, with the catalogue rows that a crawl would give them."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from captioning.prompt import Prompt
from crawler.catalog import CatalogEntry, Hyperparameters, ModelFile
from crawler.pipelines.traits import describe
from localhub.store import Store
from tests.records import catalog_entry, prompt
from workspace import records
from workspace.layout import Workspace, part_name

_SKIPPED = ("README.md", ".gitattributes")


def model_files(store: Store, repo_id: str) -> tuple[str, tuple[ModelFile, ...]]:
    """A repository's commit and its files, as the Hub states them."""
    commit = store.commit_of(store.repo("model", repo_id))
    files = tuple(
        ModelFile(
            path=path,
            size=file.size,
            sha256=file.sha256 if file.lfs else None,
            git_oid=None if file.lfs else file.oid,
        )
        for path, file in sorted(commit.files.items())
        if path not in _SKIPPED and not path.startswith("safety_checker/")
    )
    return commit.id, files


def entry_of(store: Store, repo_id: str, rank: int = 1, **changes: Any) -> CatalogEntry:
    """The row of one repository of `store`."""
    revision, files = model_files(store, repo_id)
    task = changes.pop("task", None) or _task(store, repo_id)
    values: dict[str, Any] = {
        "revision": revision,
        "rank": rank,
        "task": task,
        "hyperparameters": Hyperparameters(num_inference_steps=2),
        "files": files,
        "download_bytes": sum(file.size for file in files),
    }
    return catalog_entry(repo_id, **values | changes)


def adapter_of(store: Store, repo_id: str, base: str, kind: str, adapter_file: str, rank: int = 1) -> CatalogEntry:
    """The row of an adapter for a base model of `store`."""
    revision, files = model_files(store, base)
    own = model_files(store, repo_id)[1]
    return entry_of(
        store,
        repo_id,
        rank,
        kind=kind,
        base_model=base,
        base_revision=revision,
        base_files=files,
        adapter_file=adapter_file,
        download_bytes=sum(file.size for file in (*own, *files)),
    )


def _task(store: Store, repo_id: str) -> str | None:
    repo = store.repo("model", repo_id)
    file = store.commit_of(repo).files.get("model_index.json")
    if file is None:
        return "text-to-image"
    index = json.loads(store.blobs.path(file.sha256).read_bytes())
    traits = describe(index["_class_name"])
    return traits.task if traits else "text-to-image"


def write_catalog(workspace: Workspace, entries: Iterable[CatalogEntry]) -> None:
    records.write(workspace.catalog, CatalogEntry, entries)


def write_prompts(workspace: Workspace, sources: dict[str, list[str]]) -> None:
    """A part of prompts for each real source."""
    for source, texts in sources.items():
        prompts = [prompt(source, number, text) for number, text in enumerate(texts)]
        records.write(workspace.prompts_of(source) / part_name(0), Prompt, prompts)


def files_of(workspace: Workspace) -> dict[str, bytes]:
    """Every image and part of a workspace, by path: what two runs are compared by."""
    folders = (workspace.images, workspace.samples)
    return {
        path.relative_to(workspace.root).as_posix(): path.read_bytes()
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def build(store: Store, repo_id: str, folder: Path) -> None:
    """Commit a folder as a repository."""
    store.create("model", repo_id, exist_ok=True)
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    store.commit("model", repo_id, add=files, message="Upload", date="2024-01-01T00:00:00.000Z")


PROMPTS = {
    "photos": [f"a photograph of {thing}" for thing in ("a cat", "a coffee cup", "a rocket", "the moon", "a horse")],
    "digits": [f"the digit {number}" for number in range(10)],
}
