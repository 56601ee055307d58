"""One row of the catalogue: what the listing, the repository, its card and (for an adapter) its base say together."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from crawler.card.licenses import license_of
from crawler.card.model_card import Card, read_card
from crawler.card.snippets import Usage, read_usage
from crawler.catalog import CatalogEntry
from crawler.hub.client import UnavailableError
from crawler.hub.listing import Listed
from crawler.hub.repository import Inspector, Repository
from crawler.hub.single_flight import SingleFlight
from crawler.hyperparameters import CALL_FIELDS, checked, hyperparameters_of
from crawler.lineage import tagged_bases
from crawler.model_index import MODEL_INDEX
from crawler.options import Kind
from crawler.pipelines.checkpoint import Checkpoint, look_at
from crawler.pipelines.traits import PipelineTraits
from crawler.pipelines.weight_files import adapter_file, formats_of
from crawler.reasons import Incompatible, Reason
from workspace.errors import HubError, UsageError
from workspace.layout import generator_folder

# What training scripts call an adapter's weights.
_ADAPTER_FILES: dict[Kind, str] = {"lora": "pytorch_lora_weights", "textual-inversion": "learned_embeds"}
_ADAPTER_WORDS: dict[Kind, str] = {"lora": "the LoRA", "textual-inversion": "the embedding"}
#: The file in which the textual inversion training script writes its token.
TOKEN_FILE = "token_identifier.txt"


class Bases:
    """The checkpoints that adapters are made for, each looked at once; may be used from any number of threads."""

    def __init__(self, inspector: Inspector, revisions: Mapping[str, str]) -> None:
        """`revisions` gives the commit of bases that were listed; others are taken at their newest."""
        self._inspector, self._revisions = inspector, revisions
        self._seen: SingleFlight[str, tuple[Repository, Checkpoint] | Incompatible] = SingleFlight()

    def get(self, model_name: str) -> tuple[Repository, Checkpoint]:
        """A base and what is known of it; raises `Incompatible` (base-missing) or `HubError`."""
        found = self._seen.get(model_name, lambda: self._look(model_name))
        if isinstance(found, Incompatible):
            raise found
        return found

    def _look(self, model_name: str) -> tuple[Repository, Checkpoint] | Incompatible:
        try:
            generator_folder(model_name)
            repository = self._inspector.open(model_name, self._revisions.get(model_name))
        except UsageError as error:
            return Incompatible(Reason.BASE_MISSING, str(error))
        except Incompatible as verdict:
            return Incompatible(Reason.BASE_MISSING, f"base {verdict.detail}")
        return repository, look_at(repository)


@dataclass
class _Row:
    """What is known so far; a verdict on the way keeps it."""

    listed: Listed
    kind: Kind
    card: Card
    usage: Usage
    checkpoint: Checkpoint
    trigger: str | None = None
    base_model: str | None = None
    more: dict[str, Any] | None = None


@dataclass(frozen=True)
class Examiner:
    """Turns listed models into rows of the catalogue."""

    inspector: Inspector
    bases: Bases
    kinds: tuple[Kind, ...]
    #: The time, as UTC in ISO 8601.
    clock: Callable[[], str]

    def examine(self, listed: Listed, rank: int) -> CatalogEntry:
        """Look into a listed model. Whatever is wrong with it is its verdict; raises only
        `crawler.hub.client.UnavailableError`, when the Hub cannot be asked at all."""
        row = _Row(listed, listed.kind, Card(), Usage(), Checkpoint())
        verdict: Incompatible | None = None
        try:
            self._examine(row)
        except Incompatible as error:
            verdict = error
        except UnavailableError:
            raise
        except HubError as error:
            verdict = Incompatible(Reason.HUB_ERROR, str(error))
        return _entry(row, rank, self.clock(), verdict)

    def _examine(self, row: _Row) -> None:
        listed = row.listed
        if listed.disabled:
            raise Incompatible(Reason.DISABLED, f"{listed.model_name} is disabled by the Hub")
        repository = self.inspector.open(listed.model_name, listed.revision)
        row.card = _card(repository)
        row.base_model = next(iter(row.card.base_models or tagged_bases(listed.tags)), None)
        row.kind = _kind(listed, repository)
        if row.kind == "checkpoint":
            row.checkpoint = look_at(
                repository, listed.tags, lambda traits: _says_size(_usage(row.card, listed.model_name, traits))
            )
            row.usage = _usage(row.card, listed.model_name, row.checkpoint.traits)
            self._check_kind(row)
            if row.checkpoint.verdict is not None:
                raise _more_precise(row.checkpoint.verdict, repository)
        else:
            row.usage = _usage(row.card, listed.model_name, None)
            self._check_kind(row)
            self._examine_adapter(row, repository)

    def _check_kind(self, row: _Row) -> None:
        if row.kind not in self.kinds:
            raise Incompatible(Reason.OTHER_KIND, f"by its files it is a {row.kind}")

    def _examine_adapter(self, row: _Row, repository: Repository) -> None:
        usual = f"{_ADAPTER_FILES[row.kind]}.safetensors"
        download = adapter_file(repository.files, (row.usage.weight_name, usual), _ADAPTER_WORDS[row.kind])
        if row.kind == "textual-inversion":
            token = repository.read(TOKEN_FILE, max_bytes=1000)
            row.trigger = token.decode("utf-8", "replace").strip() or None if token is not None else None
        row.more = {"files": download.files, "download_bytes": download.size}
        named = row.card.base_models or tagged_bases(row.listed.tags)
        if not named:
            raise Incompatible(Reason.BASE_MISSING, "neither the card nor a tag names its base_model")
        if len(named) > 1:
            raise Incompatible(Reason.BASE_AMBIGUOUS, f"the card names several bases: {', '.join(named[:5])}")
        base, row.checkpoint = self.bases.get(named[0])
        row.usage = _usage(row.card, row.listed.model_name, row.checkpoint.traits)
        row.base_model = base.model_name
        row.more |= {"base_revision": base.revision}
        verdict = row.checkpoint.verdict
        if verdict is not None:
            raise Incompatible(Reason.BASE_INCOMPATIBLE, f"its base {base.model_name}: {verdict}")
        row.more |= {
            "base_files": row.checkpoint.download.files,
            "download_bytes": download.size + row.checkpoint.download.size,
        }


def _card(repository: Repository) -> Card:
    try:
        return read_card(repository.read_card())
    except Incompatible as verdict:
        if verdict.reason is Reason.MALFORMED:  # too large: the model may be fine without its card
            return Card(malformed=verdict.detail)
        raise


def _usage(card: Card, model_name: str, traits: PipelineTraits | None) -> Usage:
    return read_usage(card.document, model_name, traits.parameters if traits is not None else CALL_FIELDS)


def _says_size(usage: Usage) -> bool:
    return all(checked(side, usage.arguments.get(side)) is not None for side in ("height", "width"))


def _kind(listed: Listed, repository: Repository) -> Kind:
    """What its files say it is; where they say nothing, its tags."""
    if MODEL_INDEX in repository.files:
        return "checkpoint"
    if listed.kind != "checkpoint":
        return listed.kind
    for kind, stem in _ADAPTER_FILES.items():
        if any(f"{stem}{suffix}" in repository.files for suffix in (".safetensors", ".bin")):
            return kind
    return "checkpoint"


def _more_precise(verdict: Incompatible, repository: Repository) -> Incompatible:
    """Without a model_index.json, the weights of a repository may say more than that it has none."""
    if verdict.reason is not Reason.NO_MODEL_INDEX or any(path.endswith(".safetensors") for path in repository.files):
        return verdict
    reason = formats_of(repository.files)
    if reason not in (Reason.QUANTIZED_ONLY, Reason.ONNX_ONLY):
        return verdict
    return Incompatible(reason, f"{verdict.detail}, and weights of such a format only")


def _tagged_class(listed: Listed) -> str | None:
    """The pipeline class by the tag `diffusers:...`, which the Hub takes from model_index.json."""
    return next((tag.removeprefix("diffusers:") for tag in listed.tags if tag.startswith("diffusers:")), None)


def _entry(row: _Row, rank: int, crawled_at: str, verdict: Incompatible | None) -> CatalogEntry:
    listed, checkpoint, card = row.listed, row.checkpoint, row.card
    license_ = license_of(card.metadata, listed.tags)
    hyperparameters, sources = hyperparameters_of(checkpoint.traits, card, row.usage, checkpoint.config, row.trigger)
    detail = verdict.detail if verdict is not None else None
    if card.malformed is not None:
        detail = f"{detail}; malformed: {card.malformed}" if detail is not None else f"malformed: {card.malformed}"
    return CatalogEntry(
        model_name=listed.model_name,
        revision=listed.revision,
        subset="Systematic",
        rank=rank,
        downloads=listed.downloads,
        downloads_all_time=listed.downloads_all_time,
        likes=listed.likes,
        license=license_.license,
        license_source=license_.license_source,
        license_family=license_.license_family,
        license_name=license_.license_name,
        license_link=license_.license_link,
        hf_pipeline_tag=listed.hf_pipeline_tag,
        hf_diffusers_tag=checkpoint.class_name or _tagged_class(listed),
        tags=listed.tags,
        architecture=checkpoint.architecture,
        architecture_evidence=checkpoint.architecture_evidence,
        task=checkpoint.task,
        kind=row.kind,
        base_model=row.base_model,
        hyperparameters=hyperparameters,
        hyperparameter_sources=sources,
        variant=checkpoint.download.variant,
        gated=listed.gated,
        created_at=listed.created_at,
        last_modified=listed.last_modified,
        crawled_at=crawled_at,
        status="compatible" if verdict is None else "incompatible",
        reason=verdict.reason.value if verdict is not None else None,
        reason_detail=detail,
        **(row.more or {"files": checkpoint.download.files, "download_bytes": checkpoint.download.size}),
    )
