"""What was removed from a workspace is not crawled again, and named in no row."""

from dataclasses import asdict, replace

import pytest

from crawler.catalog import CatalogEntry, ModelFile, read_catalog
from crawler.crawl import crawl
from crawler.removal import with_former_ancestors, with_hidden_names, without_removed
from localhub.process import HubProcess
from tests.crawler.conftest import ALL
from tests.records import catalog_entry
from workspace import records
from workspace.layout import Workspace
from workspace.removed import Removals, Removed, generator_key, pseudonym_of, write_removals


def _removals(*names: str) -> Removals:
    return Removals(
        Removed(what="generator", key=generator_key(name), reason="other", day="2026-11-30") for name in names
    )


def _adapter(**changes: object) -> CatalogEntry:
    files = (ModelFile(path="lora.safetensors", size=2),)
    base = (ModelFile(path="unet/model.safetensors", size=40),)
    values = {"kind": "lora", "base_model": "org/gone", "files": files, "base_files": base, "download_bytes": 42}
    return catalog_entry("org/lora", **{"base_revision": "b" * 40, **values, **changes})


def test_rows_of_others_name_a_pseudonym_and_keep_their_settings() -> None:
    tuned = catalog_entry(
        "org/tuned",
        base_model="org/gone",
        lineage=("org/gone", "org/older"),
        tags=("base_model:org/gone", "base_model:finetune:org/gone", "diffusers"),
        license_chain=("org/tuned: mit", "org/gone: openrail"),
        license_link="https://hub.example/org/gone/LICENSE",
    )
    hidden = with_hidden_names(tuned, _removals("org/gone"))
    name = pseudonym_of(generator_key("org/gone"))
    assert "org/gone" not in repr(hidden)
    assert hidden.base_model == name
    assert hidden.lineage == (name, "org/older")
    assert hidden.license_chain == ("org/tuned: mit", f"{name}: openrail")
    assert hidden.status == "compatible"
    assert hidden.hyperparameters == tuned.hyperparameters
    assert with_hidden_names(hidden, _removals("org/gone")) == hidden
    assert with_hidden_names(tuned, _removals("org/other")) is tuned


@pytest.mark.parametrize(
    "entry",
    [
        _adapter(),
        catalog_entry("org/decoder", prior_model="org/gone", prior_revision="b" * 40, download_bytes=0),
    ],
    ids=["an adapter", "a decoder"],
)
def test_what_is_loaded_with_a_removed_model_is_not_sampled_any_more(entry: CatalogEntry) -> None:
    hidden = with_hidden_names(entry, _removals("org/gone"))
    assert (hidden.status, hidden.reason) == ("incompatible", "base-removed")
    assert (hidden.base_revision, hidden.base_files, hidden.prior_revision) == (None, (), None)
    assert hidden.download_bytes == sum(file.size for file in hidden.files)
    assert "org/gone" not in repr(hidden)


def test_ancestors_beyond_a_removed_one_are_remembered() -> None:
    name = pseudonym_of(generator_key("org/gone"))
    now = catalog_entry("org/tuned", base_model=name, lineage=(name,))
    former = {"org/tuned": replace(now, lineage=(name, "org/older"))}
    assert with_former_ancestors([now], former)[0].lineage == (name, "org/older")
    assert with_former_ancestors([now], {}) == [now]


def test_a_later_crawl_does_not_list_what_was_removed_and_leaves_the_others_as_they_are(
    wild_hub: HubProcess, catalog: dict[str, CatalogEntry], tmp_path: object
) -> None:
    base = next(row.base_model for row in catalog.values() if row.base_files and row.base_model in catalog)
    assert base is not None
    removals = _removals(base)
    workspace = Workspace.open(str(tmp_path))
    expected = without_removed(catalog.values(), removals)
    # Interrupted before the last rows: these are inspected anew.
    records.write(workspace.catalog, CatalogEntry, expected[:-5])
    write_removals(workspace, removals)
    crawled = crawl(workspace, replace(ALL, endpoint=wild_hub.endpoint))
    assert not any(base in path.read_text() for path in workspace.logs.iterdir())
    assert base not in repr(read_catalog(workspace))
    expected = [replace(row, crawled_at="") for row in sorted(expected, key=lambda row: row.rank)]
    found = [replace(row, crawled_at="") for row in sorted(crawled.entries, key=lambda row: row.rank)]
    for one, other in zip(found, expected, strict=True):
        assert asdict(one) == asdict(other)
