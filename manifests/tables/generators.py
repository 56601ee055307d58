"""The tables of generators beside the manifest.

`generators.parquet` and `generators.csv` have a row for every generator of the catalogue, sampled or not, as the
study's metadata tables do; `rejected.parquet` counts the samples that gave no image, by generator and reason.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa

from crawler.catalog import LOCAL_DIGITS, CatalogEntry
from crawler.holdout import Split
from manifests.tables.csv_text import write_csv
from samplers.outcomes import Outcome, read_outcome
from workspace import records
from workspace.atomic import atomic_path
from workspace.errors import UsageError
from workspace.layout import Workspace
from workspace.records import column
from workspace.sandbox.walls import missing

#: Why a sample is not in the manifest.
REJECTIONS = ("nsfw", "blank", "nan", "duplicate", "similar", "broken", "refused", "unanswered", "removed")


@dataclass(frozen=True, kw_only=True)
class GeneratorRow:
    """One generator of the catalogue, and how sampling it ended."""

    generator: str = column(
        pa.string(), "its name, unique: model_name, for a further revision with @ and the start of its commit"
    )
    model_name: str = column(pa.string(), "repository id")
    revision: str = column(pa.string(), "commit sha; of a local generator the SHA-256 of its files, 64 digits")
    round: int = column(pa.int32(), "round of the workspace that added it, from 1")
    link: str | None = column(
        pa.string(), "page of a local generator, as its user says; null: its page on the Hub, or none", default=None
    )
    subset: str = column(pa.string(), "Systematic | Manual | Commercial")
    rank: int = column(pa.int32(), "rank by downloads, from 1")
    downloads: int = column(pa.int64(), "of the last 30 days")
    likes: int = column(pa.int64(), "as the Hub states them")
    license: str | None = column(pa.string(), "null: none given", default=None)
    license_source: str = column(pa.string(), "card | tag | user | none")
    license_name: str | None = column(pa.string(), "the author's name for it, where license is other", default=None)
    license_link: str | None = column(pa.string(), "where its text is, where license is other", default=None)
    license_family: str = column(
        pa.string(), "open | openrail | non-commercial | research-only | proprietary | unknown"
    )
    license_effective: str | None = column(
        pa.string(), "the strictest licence of it and of the models it is made from; null: none given", default=None
    )
    license_family_effective: str = column(pa.string(), "family of license_effective", default="unknown")
    hf_pipeline_tag: str | None = column(pa.string(), "the Hub's task tag", default=None)
    hf_diffusers_tag: str | None = column(pa.string(), "pipeline class", default=None)
    architecture: str = column(pa.string(), "LatDiff | PixDiff | GAN | Other | Commercial")
    task: str | None = column(pa.string(), "text-to-image | class-conditional | unconditional", default=None)
    kind: str = column(pa.string(), "checkpoint | lora | textual-inversion")
    base_model: str | None = column(pa.string(), "repository id it was made from", default=None)
    lineage: str | None = column(pa.string(), "all known ancestors, nearest first, separated by spaces", default=None)
    num_inference_steps: int | None = column(pa.int32(), "of its card or configuration", default=None)
    guidance_scale: float | None = column(pa.float64(), "of its card or configuration", default=None)
    width: int | None = column(pa.int32(), "pixels, of its card or configuration", default=None)
    height: int | None = column(pa.int32(), "pixels, of its card or configuration", default=None)
    scheduler: str | None = column(pa.string(), "of its card or configuration", default=None)
    prediction_type: str | None = column(pa.string(), "epsilon, v_prediction, sample or flow", default=None)
    negative_prompt: str | None = column(pa.string(), "of its card", default=None)
    trigger_words: str | None = column(pa.string(), "words that must be in its prompts", default=None)
    hyperparameter_sources: str = column(pa.string(), "JSON object: name -> card | config | base | default | user")
    status: str = column(pa.string(), "compatible | incompatible")
    reason: str | None = column(pa.string(), "why it is incompatible", default=None)
    reason_detail: str | None = column(pa.string(), "the same as text", default=None)
    created_at: str | None = column(pa.string(), "UTC, ISO 8601: when its repository first appeared", default=None)
    outcome: str | None = column(pa.string(), "how sampling it ended; null: it was not sampled", default=None)
    outcome_reason: str | None = column(pa.string(), "why it turned out to be incompatible", default=None)
    outcome_detail: str | None = column(pa.string(), "the same as text", default=None)
    missing_walls: str | None = column(
        pa.string(), "walls of the sandbox that it was sampled without (docs/sandbox.md); null: none", default=None
    )
    split: Split | None = column(
        pa.string(), "train | validation | test; null: not sampled, or in none (docs/manifest.md)", default=None
    )
    tried: int = column(pa.int64(), "images sampled")
    kept: int = column(pa.int64(), "images in the manifest")
    nsfw: int = column(pa.int64(), "images flagged by the safety checker")
    blank: int = column(pa.int64(), "images of one colour")
    nan: int = column(pa.int64(), "images with values that are not numbers")
    duplicate: int = column(pa.int64(), "images equal to one of a lower index of the same generator")
    similar: int = column(pa.int64(), "imported images that look as an earlier one", default=0)
    broken: int = column(pa.int64(), "imported files that are no image", default=0)
    refused: int = column(pa.int64(), "images that the provider of a remote generator did not make", default=0)
    unanswered: int = column(pa.int64(), "images that may be paid for and did not come", default=0)
    removed: int = column(pa.int64(), "images taken out with the real image whose caption was their prompt", default=0)

    @property
    def is_local(self) -> bool:
        """Whether its files were on the machine of whoever crawled, so that the Hub has no page of it."""
        return len(self.revision) == LOCAL_DIGITS


@dataclass(frozen=True, kw_only=True)
class RejectedRow:
    """How many samples of one generator were rejected for one reason."""

    generator: str = column(pa.string(), "its name, as in generators.parquet")
    model_name: str = column(pa.string(), "repository id")
    revision: str = column(pa.string(), "commit sha")
    status: str = column(
        pa.string(), "nsfw | blank | nan | duplicate | similar | broken | refused | unanswered | removed"
    )
    tries: int = column(pa.int64(), "how many")


def rejections(rows: Sequence[GeneratorRow]) -> dict[str, int]:
    """The rejected samples of all generators by reason; reasons that not every dataset has only where they occur."""
    numbers = {name: sum(getattr(row, name) for row in rows) for name in REJECTIONS}
    return {name: number for name, number in numbers.items() if number or name in REJECTIONS[:4]}


def license_text(row: GeneratorRow) -> str | None:
    """The licence in words, with the author's name for it where there is one."""
    return f"{row.license}: {row.license_name}" if row.license and row.license_name else row.license


def generators_path(workspace: Workspace) -> Path:
    """The table of generators; its CSV file is beside it."""
    return workspace.manifest / "generators.parquet"


def rejected_path(workspace: Workspace) -> Path:
    """The table of rejected samples."""
    return workspace.manifest / "rejected.parquet"


def read_outcomes(workspace: Workspace, catalog: Iterable[CatalogEntry]) -> tuple[dict[str, Outcome], list[str]]:
    """How sampling each generator ended at the catalogue's revision, by its name; and what is wrong with the outcomes
    that cannot be read."""
    outcomes: dict[str, Outcome] = {}
    wrong: list[str] = []
    for entry in catalog:
        try:
            outcome = read_outcome(workspace, entry.generator)
        except UsageError as error:
            wrong.append(str(error))
        else:
            if outcome is not None and outcome.revision == entry.revision:
                outcomes[entry.generator] = outcome
    return outcomes, wrong


def generator_rows(
    catalog: Iterable[CatalogEntry],
    results: Mapping[str, Mapping[str, int]],
    outcomes: Mapping[str, Outcome],
    splits: Mapping[str, Split | None],
) -> list[GeneratorRow]:
    """A row for each generator of the catalogue; `results` has how many of its samples had which result, by its name
    (`joining.join.Joined`)."""
    return [
        _row(entry, results.get(entry.generator, {}), outcomes.get(entry.generator), splits.get(entry.generator))
        for entry in catalog
    ]


def rejected_rows(generators: Iterable[GeneratorRow]) -> list[RejectedRow]:
    """The rejected samples of all generators, by generator and reason; there is no row where there were none."""
    return [
        RejectedRow(
            generator=row.generator,
            model_name=row.model_name,
            revision=row.revision,
            status=status,
            tries=getattr(row, status),
        )
        for row in sorted(generators, key=lambda row: row.generator)
        for status in REJECTIONS
        if getattr(row, status)
    ]


def write_generators(workspace: Workspace, rows: list[GeneratorRow]) -> None:
    """Write generators.parquet, generators.csv and rejected.parquet."""
    table = records.to_table(GeneratorRow, rows)
    records.write_table(generators_path(workspace), table)
    with atomic_path(generators_path(workspace).with_suffix(".csv")) as temporary:
        write_csv(temporary, table)
    records.write(rejected_path(workspace), RejectedRow, rejected_rows(rows))


def read_generators(workspace: Workspace) -> list[GeneratorRow]:
    """All generators by rank; raises `UsageError` when there is no such table."""
    return records.read(generators_path(workspace), GeneratorRow)


def _row(entry: CatalogEntry, counts: Mapping[str, int], outcome: Outcome | None, split: Split | None) -> GeneratorRow:
    settings = entry.hyperparameters
    sources = {name: source for name, source in asdict(entry.hyperparameter_sources).items() if source is not None}
    return GeneratorRow(
        generator=entry.generator,
        model_name=entry.model_name,
        revision=entry.revision,
        round=entry.round,
        link=entry.link,
        subset=entry.subset,
        rank=entry.rank,
        downloads=entry.downloads,
        likes=entry.likes,
        license=entry.license,
        license_source=entry.license_source,
        license_name=entry.license_name,
        license_link=entry.license_link,
        license_family=entry.license_family,
        license_effective=entry.license_effective,
        license_family_effective=entry.license_family_effective,
        hf_pipeline_tag=entry.hf_pipeline_tag,
        hf_diffusers_tag=entry.hf_diffusers_tag,
        architecture=entry.architecture,
        task=entry.task,
        kind=entry.kind,
        base_model=entry.base_model,
        lineage=" ".join(entry.lineage) or None,
        num_inference_steps=settings.num_inference_steps,
        guidance_scale=settings.guidance_scale,
        width=settings.width,
        height=settings.height,
        scheduler=settings.scheduler,
        prediction_type=settings.prediction_type,
        negative_prompt=settings.negative_prompt,
        trigger_words=settings.trigger_words,
        hyperparameter_sources=json.dumps(sources, sort_keys=True),
        status=entry.status,
        reason=entry.reason,
        reason_detail=entry.reason_detail,
        created_at=entry.created_at,
        outcome=outcome.status if outcome else None,
        outcome_reason=outcome.reason if outcome else None,
        outcome_detail=(outcome.detail or None) if outcome else None,
        missing_walls=(", ".join(missing(outcome.walls)) or None) if outcome and outcome.walls else None,
        split=split if counts.get("kept") else None,
        tried=sum(counts.values()),
        kept=counts.get("kept", 0),
        nsfw=counts.get("nsfw", 0),
        blank=counts.get("blank", 0),
        nan=counts.get("nan", 0),
        duplicate=counts.get("duplicate", 0),
        similar=counts.get("similar", 0),
        broken=counts.get("broken", 0),
        refused=counts.get("refused", 0),
        unanswered=counts.get("unanswered", 0),
        removed=counts.get("removed", 0),
    )
