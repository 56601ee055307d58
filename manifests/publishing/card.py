"""The dataset card: what a reader on the Hub sees first, with the numbers of this dataset.

Its front matter tells the Hub and `datasets` which files are which split. Every number is counted from the manifest
and the shards that are published with it; it has no date, so the same dataset has the same card.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import yaml

from manifests.audit.detector_scores import KnownScores, read_detector_scores
from manifests.audit.record import Audit, has_matched, read_audit, shortcut_lines
from manifests.choices import read_choices
from manifests.evaluation_sets import evaluation_path
from manifests.manifest import REAL_SUBSET, manifest_path
from manifests.publishing.card_numbers import CardNumbers, PublishedSplit
from manifests.publishing.changelog import Changelog
from manifests.publishing.layouts import Layout
from manifests.publishing.owners_card import framed
from manifests.publishing.planning import PlannedShard
from manifests.publishing.published import EVALUATION, MIXED_SPLITS, VALIDATION
from manifests.report.about import about
from manifests.reproduction.record import reproduction_lines
from manifests.tables.generators import read_generators, rejections
from workspace.layout import Workspace
from workspace.number_text import counted
from workspace.printable import in_line
from workspace.removed import read_removals
from workspace.size import text_of

if TYPE_CHECKING:
    import jinja2

#: The Hub's size categories, with their upper bounds in rows.
_SIZE_CATEGORIES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)
_LARGEST_CATEGORY = "10M<n<100M"

_TITLE = "Community Forensics"

#: The front matter of a card.
_FRONT_MATTER = re.compile(r"---\r?\n(.*?)\r?\n---[ \t]*\r?\n", re.DOTALL)

#: Files beside the shards, without pixels; each is a configuration of its own.
GENERATORS_FILE = "metadata/generators.parquet"
REAL_IMAGES_FILE = "metadata/real_images.parquet"
MATCHED_FILE = "metadata/matched.parquet"
EVALUATION_FILE = "metadata/evaluation.parquet"


def size_category(rows: int) -> str:
    """The Hub's size category of a dataset with this many rows."""
    return next((name for bound, name in _SIZE_CATEGORIES if rows < bound), _LARGEST_CATEGORY)


@dataclass(frozen=True)
class Measured:
    """What was measured of a manifest as it was built."""

    audit: Audit | None = None
    detectors: KnownScores = KnownScores()
    reproduced: Sequence[str] = ()
    """What came of making images again, in sentences."""

    @classmethod
    def of(cls, workspace: Workspace) -> "Measured":
        """Read it, before rows of the manifest are replaced: then nothing is known of it any more."""
        return cls(read_audit(workspace), read_detector_scores(workspace), list(reproduction_lines(workspace)))


def write_card(
    repo_id: str,
    workspace: Workspace,
    layout: Layout,
    shards: Sequence[PlannedShard],
    numbers: CardNumbers,
    measured: Measured = Measured(),
    changelog: Changelog = Changelog(),
) -> str:
    """The card of the dataset `repo_id` that has these shards; `owners_card` puts into it what people wrote.

    `numbers`, `measured`: of the manifest.
    """
    image_bytes: Counter[str] = Counter()
    for shard in shards:
        image_bytes[shard.split] += shard.image_bytes
    names = sorted({shard.split for shard in shards})
    counted_splits = {split.name: split for split in numbers.splits}
    splits = [counted_splits.get(name, PublishedSplit(name)) for name in names]
    training = [split.name for split in splits if split.rows and split.name not in MIXED_SPLITS.values()]
    rows = read_generators(workspace)
    matched, paired = has_matched(workspace, measured.audit), evaluation_path(workspace).exists()
    template = _templates().get_template("card.md.jinja")
    text = template.render(
        shortcuts=shortcut_lines(measured.audit),
        detectors=measured.detectors.scores,
        matched=matched,
        paired=paired,
        repo_id=repo_id,
        layout=layout.name,
        versions=changelog.versions[::-1],
        by_generator=layout.by_generator,
        numbers=numbers,
        sizes={name: text_of(size) for name, size in image_bytes.items()},
        splits=splits,
        contents={
            REAL_SUBSET: "real images",
            EVALUATION: "for evaluation: generated and real images",
            VALIDATION: "for validation: generated and real images",
        },
        training=training or names,
        evaluation=next((split for split in numbers.splits if split.name == EVALUATION), None),
        validation=next((split for split in numbers.splits if split.name == VALIDATION), None),
        choices=read_choices(manifest_path(workspace)),
        examined=len(rows),
        reproduced=measured.reproduced,
        local=[row for row in rows if row.is_local and row.kept],
        rejected=", ".join(f"{number} {name}" for name, number in rejections(rows).items()),
        recipe=about(workspace).recipe,
        removals=_removals(workspace),
        version=version("community-forensics"),
        columns=[(field.name, (field.metadata or {}).get(b"doc", b"").decode()) for field in layout.schema],
    )
    matter = _front_matter(names, numbers.generated + numbers.real, bool(numbers.listed), matched, paired)
    return f"---\n{matter}\n---\n\n# {_TITLE}\n\n{framed(text)}\n"


@cache
def _templates() -> "jinja2.Environment":
    """The template of the card; once in a process, for it is compiled once."""
    import jinja2

    # Names, licences and versions are texts of unknown authors: in Markdown, too, they must stay plain text.
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("manifests.publishing", "."),
        autoescape=False,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters |= {"plain": plain, "link": link, "counted": counted}
    return templates


def _removals(workspace: Workspace) -> list[tuple[str, str, int]]:
    """How many generators and real images were removed for which reason: numbers only, no names."""
    words = {"generator": "generators", "real-image": "real images"}
    counts = read_removals(workspace).counts()
    return [(words[what], reason.replace("-", " "), number) for (what, reason), number in sorted(counts.items())]


def plain(text: Any) -> str:
    """A text of an unknown author as plain text of a Markdown table: one line, no markup of Markdown or HTML."""
    return re.sub(r"([\\`*_{}\[\]<>|#!~&])", r"\\\1", in_line(str(text)))


def link(address: str | None) -> str:
    """An address by an unknown author as a link where it is a plain address of the web, otherwise as plain text."""
    is_link = re.fullmatch(r"https?://[A-Za-z0-9][A-Za-z0-9./_~%#?=:@+,-]*", address or "", re.ASCII)
    return f"<{address}>" if is_link else plain(address or "")


def with_splits(card: str, splits: Sequence[str]) -> str:
    """A published card whose front matter names these splits; everything else stays as it was, byte for byte.

    Raises `ValueError` when the front matter is not one that `write_card` wrote.
    """
    found = _FRONT_MATTER.match(card)
    try:
        matter: Any = yaml.safe_load(found[1]) if found else None
        configs = matter["configs"]
        before = [file["split"] for file in configs[0]["data_files"]]
        others = [config for config in configs[1:] if config["config_name"] not in {*before, *splits}]
    except (yaml.YAMLError, KeyError, IndexError, TypeError, ValueError, RecursionError) as error:
        raise ValueError("its front matter names no splits") from error
    if found is None or before == list(splits):
        return card
    return f"---\n{_dumped({**matter, 'configs': _split_configs(splits) + others})}\n---\n{card[found.end() :]}"


def _front_matter(splits: Sequence[str], rows: int, listed: bool, matched: bool, paired: bool) -> str:
    configs = _split_configs(splits)
    configs.append({"config_name": "generators", "data_files": GENERATORS_FILE})
    if listed:
        configs.append({"config_name": "real_images", "data_files": REAL_IMAGES_FILE})
    if matched:
        configs.append({"config_name": "matched", "data_files": MATCHED_FILE})
    if paired:
        configs.append({"config_name": "evaluation", "data_files": EVALUATION_FILE})
    matter = {
        "pretty_name": _TITLE,
        "license": "other",
        "license_name": "per-image",
        "task_categories": ["image-classification"],
        "tags": ["image-forensics", "ai-generated-images", "synthetic-image-detection", "diffusers"],
        "size_categories": [size_category(rows)],
        "configs": configs,
    }
    return _dumped(matter)


def _split_configs(splits: Sequence[str]) -> list[dict[str, Any]]:
    """The default configuration, with all splits, and one configuration for each of them."""
    files = [{"split": name, "path": f"data/{name}-*.parquet"} for name in splits]
    configs: list[dict[str, Any]] = [{"config_name": "default", "default": True, "data_files": files}]
    # The viewer has a page for each configuration; in the default one a large dataset's splits are easily overlooked.
    return configs + [{"config_name": file["split"], "data_files": [dict(file)]} for file in files]  # no YAML alias


def _dumped(matter: dict[str, Any]) -> str:
    return yaml.safe_dump(matter, sort_keys=False, allow_unicode=True).strip()
