"""The dataset card: what a stranger on the Hub reads first, with the numbers of this very dataset.

Its front matter tells the Hub and `datasets` which files are which split. Every number is counted from the manifest
and the shards that are published with it; there is no date in it, so the same dataset has the same card.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import yaml

from manifests.generators import GeneratorRow, read_generators
from manifests.joining import parquet_view
from manifests.manifest import manifest_path
from manifests.packing import PlannedShard, shard_schema
from workspace.layout import Workspace

#: Upper bounds of the size categories the Hub knows, in rows.
_SIZE_CATEGORIES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)
_LARGEST_CATEGORY = "10M<n<100M"

#: Files beside the shards: configurations of their own, and without pixels.
GENERATORS_FILE = "metadata/generators.parquet"
REAL_IMAGES_FILE = "metadata/real_images.parquet"


@dataclass(frozen=True)
class Split:
    """One split as the card tells of it."""

    name: str
    rows: int
    megabytes: float


def size_category(rows: int) -> str:
    """The Hub's name for the size of a dataset of so many rows."""
    return next((name for bound, name in _SIZE_CATEGORIES if rows < bound), _LARGEST_CATEGORY)


def write_card(repo_id: str, workspace: Workspace, shards: Sequence[PlannedShard], listed_real_images: int) -> str:
    """The card of the dataset `repo_id` that has these shards, and a list of real images without pixels."""
    import jinja2

    # Names, licences and versions were written by strangers; in Markdown, too, they must stay words.
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("manifests", "."),
        autoescape=False,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters["words"] = words
    splits = _splits(shards)
    generators = read_generators(workspace)
    sampled = [row for row in generators if row.kept]
    return templates.get_template("card.md.jinja").render(
        front_matter=_front_matter(splits, listed_real_images),
        repo_id=repo_id,
        splits=splits,
        rows=sum(split.rows for split in splits),
        generators=generators,
        sampled=sampled,
        kept=sum(row.kept for row in generators),
        rejected=_rejected(generators),
        architectures=_shares(sampled, "architecture"),
        licenses=_shares(sampled, "license"),
        listed_real_images=listed_real_images,
        columns=[(field.name, (field.metadata or {}).get(b"doc", b"").decode()) for field in shard_schema()],
        **_queried(workspace),
    )


def words(text: Any) -> str:
    """Text of strangers as words of a Markdown table: one line, nothing that Markdown or HTML acts on."""
    return re.sub(r"([\\`*_{}\[\]<>|#!~&])", r"\\\1", " ".join(str(text).split()))


def _splits(shards: Iterable[PlannedShard]) -> list[Split]:
    rows: Counter[str] = Counter()
    size: Counter[str] = Counter()
    for shard in shards:
        rows[shard.split] += shard.rows
        size[shard.split] += shard.image_bytes
    return [Split(name, rows[name], size[name] / 1e6) for name in sorted(rows)]


def _front_matter(splits: Sequence[Split], listed_real_images: int) -> str:
    data_files = [{"split": split.name, "path": f"data/{split.name}-*.parquet"} for split in splits]
    configs: list[dict[str, Any]] = [{"config_name": "default", "default": True, "data_files": data_files}]
    configs.append({"config_name": "generators", "data_files": GENERATORS_FILE})
    if listed_real_images:
        configs.append({"config_name": "real_images", "data_files": REAL_IMAGES_FILE})
    matter = {
        "pretty_name": "Community Forensics",
        "license": "other",
        "license_name": "per-image",
        "task_categories": ["image-classification"],
        "tags": ["image-forensics", "ai-generated-images", "synthetic-image-detection", "diffusers"],
        "size_categories": [size_category(sum(split.rows for split in splits))],
        "configs": configs,
    }
    return yaml.safe_dump(matter, sort_keys=False, allow_unicode=True).strip()


def _rejected(generators: Iterable[GeneratorRow]) -> str:
    rows = list(generators)
    counts = {name: sum(getattr(row, name) for row in rows) for name in ("nsfw", "blank", "nan", "duplicate")}
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _shares(sampled: Iterable[GeneratorRow], column: str) -> list[tuple[str, int, int]]:
    """Name, generators and images of each value of a column, most generators first."""
    generators: Counter[str] = Counter()
    images: Counter[str] = Counter()
    for row in sampled:
        name = getattr(row, column) or "none given"
        generators[name] += 1
        images[name] += row.kept
    return [
        (name, count, images[name]) for name, count in sorted(generators.items(), key=lambda item: (-item[1], item[0]))
    ]


def _queried(workspace: Workspace) -> dict[str, list[tuple[Any, ...]]]:
    """What the card takes from the manifest itself: real sources with their licences, and what sampled on what."""
    with duckdb.connect() as connection:
        parquet_view(connection, "manifest", [manifest_path(workspace)])
        sources = connection.execute(
            """SELECT real_source, coalesce(license, 'not known'), count(*) FILTER (redistributable),
            count(*) FILTER (redistributable IS NOT TRUE)
            FROM manifest WHERE label = 0 GROUP BY ALL ORDER BY ALL"""
        ).fetchall()
        makers = connection.execute(
            """SELECT libraries, device, dtype, count(*) FROM manifest WHERE label = 1
            GROUP BY ALL ORDER BY 4 DESC, 1, 2, 3 LIMIT 10"""
        ).fetchall()
    return {"real_sources": sources, "makers": makers}
