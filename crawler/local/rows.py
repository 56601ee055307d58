"""The row of a generator on this machine: its hash as revision, and what its user says in place of a card."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from crawler.card.licenses import license_of
from crawler.catalog import CatalogEntry, ModelFile, Origin
from crawler.hub.listing import ListedModel
from crawler.local.reader import NOT_HASHED, LocalReader
from crawler.local_generator import LocalGenerator
from crawler.reasons import Incompatible
from workspace.roots import place_name


def listed(generator: LocalGenerator) -> ListedModel:
    """A generator as a list of models would have it: nobody counted its downloads."""
    return ListedModel(
        model_name=generator.name,
        revision=NOT_HASHED,
        downloads=0,
        downloads_all_time=None,
        likes=0,
        hf_pipeline_tag=None,
        tags=(),
        gated=None,
        disabled=False,
        created_at=None,
        last_modified=None,
        kind="checkpoint",
    )


def completed(entry: CatalogEntry, generator: LocalGenerator, reader: LocalReader) -> CatalogEntry:
    """The inspected row with the hashes of its files and what the user says; incompatible where a file cannot be
    read."""
    entry = _as_said(replace(entry, subset="Manual", endpoint=None), generator)
    try:
        files = reader.hashed(entry.model_name, entry.files)
        entry = replace(entry, files=files, revision=digest(files) if files else _digest_of_names(reader, entry))
        if entry.base_model is not None and entry.base_files and reader.has(entry.base_model):
            base_files = reader.hashed(entry.base_model, entry.base_files)
            entry = replace(entry, base_files=base_files, base_revision=digest(base_files))
    except Incompatible as error:
        entry = replace(entry, status="incompatible", reason=error.reason.value, reason_detail=error.detail)
    return entry


def digest(files: Sequence[ModelFile]) -> str:
    """The revision of these files: the SHA-256 of the only one, as sites for models state it; of several, that of the
    lines that `sha256sum` prints for them, by path."""
    if len(files) == 1:
        return str(files[0].sha256)
    lines = "".join(f"{file.sha256}  {file.path}\n" for file in sorted(files, key=lambda file: file.path))
    return hashlib.sha256(lines.encode()).hexdigest()


def places_of(entry: CatalogEntry, places: Mapping[str, Path]) -> dict[str, Path]:
    """Where the files of a row are on this machine, and those of its base model, by their names in `roots.toml`."""
    found = {place_name(entry.model_name, entry.revision): places[entry.model_name]}
    base, revision = entry.base_model, entry.base_revision
    if base is not None and revision is not None and base in places:
        found[place_name(base, revision)] = places[base]
    return found


def _digest_of_names(reader: LocalReader, entry: CatalogEntry) -> str:
    """The revision of what cannot be sampled and has no files to hash: by names and sizes."""
    lines = sorted(f"{file.size}  {file.path}\n" for file in reader.open(entry.model_name, None).files.values())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _as_said(entry: CatalogEntry, generator: LocalGenerator) -> CatalogEntry:
    changes: dict[str, Any] = {"link": generator.link}
    if generator.license is not None:
        stated = {name: getattr(generator, name) for name in ("license", "license_name", "license_link")}
        found = license_of(stated, ())
        changes |= {
            "license": found.license,
            "license_source": "user",
            "license_family": found.license_family,
            "license_name": found.license_name,
            "license_link": found.license_link,
        }
    if generator.base_model is not None:
        changes["base_model"] = generator.base_model
    settings = generator.settings
    sources: dict[str, Origin | None] = {name: None if value is None else "user" for name, value in settings.items()}
    return replace(
        entry,
        hyperparameters=replace(entry.hyperparameters, **settings),
        hyperparameter_sources=replace(entry.hyperparameter_sources, **sources),
        **changes,
    )
