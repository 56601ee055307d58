"""Records for tests of any room: valid rows, of which a test states only what it depends on."""

from typing import Any

from captioning.prompt import Prompt
from crawler.catalog import CatalogEntry, Hyperparameters, HyperparameterSources


def catalog_entry(model_name: str = "org/name", **changes: Any) -> CatalogEntry:
    """A compatible checkpoint without files and settings."""
    values: dict[str, Any] = {
        "model_name": model_name,
        "revision": "a" * 40,
        "subset": "Systematic",
        "rank": 1,
        "downloads": 1,
        "likes": 0,
        "license_source": "none",
        "license_family": "unknown",
        "architecture": "LatDiff",
        "architecture_evidence": "test",
        "task": "text-to-image",
        "kind": "checkpoint",
        "hyperparameters": Hyperparameters(),
        "hyperparameter_sources": HyperparameterSources(),
        "download_bytes": 0,
        "crawled_at": "2026-01-01T00:00:00Z",
        "status": "compatible",
    }
    values |= changes
    # The models of tests are made from none with a stricter licence, unless a test says so.
    values.setdefault("license_effective", values.get("license_name") or values.get("license"))
    values.setdefault("license_family_effective", values["license_family"])
    return CatalogEntry(**values)


def prompt(real_source: str = "photos", number: int = 0, text: str = "a cat", **changes: Any) -> Prompt:
    """The data set's own caption of its `number`-th image, which does not exist."""
    values: dict[str, Any] = {
        "prompt_id": f"{real_source}/{number}",
        "prompt": text,
        "real_source": real_source,
        "real_title": real_source,
        "real_id": str(number),
        "real_path": f"/photographs/{real_source}/{number}.jpg",
        "real_sha256": "0" * 64,
        "real_format": "JPEG",
        "real_width": 64,
        "real_height": 64,
        "caption_origin": "dataset",
    }
    return Prompt(**values | changes)
