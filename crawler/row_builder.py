"""One row of the catalogue, from the list of models, the repository, its card and (for an adapter) its base."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from crawler.card.licenses import license_of
from crawler.card.model_card import Card, read_card
from crawler.card.snippets import Usage, read_usage
from crawler.catalog import CatalogEntry
from crawler.hub.client import UnavailableError
from crawler.hub.listing import ListedModel
from crawler.hub.repository import Repository, RepositoryReader
from crawler.hub.single_flight import SingleFlight
from crawler.hyperparameters import CALL_FIELDS, hyperparameters_of, valid_or_none
from crawler.lineage import bases_in_tags
from crawler.model_index import MODEL_INDEX
from crawler.options import Kind
from crawler.pipelines.checkpoint import Checkpoint, inspect_checkpoint
from crawler.pipelines.traits import PipelineTraits
from crawler.pipelines.weight_files import adapter_file, format_reason
from crawler.reasons import Incompatible, Reason
from workspace.errors import HubError, UsageError
from workspace.repo_id import checked_repo_id

# Names that training scripts give to an adapter's weights.
_ADAPTER_FILES: dict[Kind, str] = {"lora": "pytorch_lora_weights", "textual-inversion": "learned_embeds"}
_ADAPTER_NAMES: dict[Kind, str] = {"lora": "the LoRA", "textual-inversion": "the embedding"}
# Formats that say more about a repository than that it has no model_index.json.
_FORMATS = {Reason.QUANTIZED_ONLY: "quantized", Reason.ONNX_ONLY: "for ONNX"}
#: The file in which the training script of textual inversion writes its token.
TOKEN_FILE = "token_identifier.txt"


class BaseModels:
    """The checkpoints that adapters are made for, each inspected once; may be used from any number of threads."""

    def __init__(self, reader: RepositoryReader, revisions: Mapping[str, str]) -> None:
        """`revisions` has the commits of listed models; the newest commit of others is used."""
        self._reader, self._revisions = reader, revisions
        self._inspected: SingleFlight[str, tuple[Repository, Checkpoint] | Incompatible] = SingleFlight()

    def get(self, model_name: str) -> tuple[Repository, Checkpoint]:
        """A base model, inspected; raises `Incompatible` (base-missing) or `HubError`."""
        base = self._inspected.get(model_name, lambda: self._inspect(model_name))
        if isinstance(base, Incompatible):
            raise base
        return base

    def _inspect(self, model_name: str) -> tuple[Repository, Checkpoint] | Incompatible:
        try:
            checked_repo_id(model_name)
            repository = self._reader.open(model_name, self._revisions.get(model_name))
        except UsageError as error:
            return Incompatible(Reason.BASE_MISSING, str(error))
        except Incompatible as error:
            return Incompatible(Reason.BASE_MISSING, f"base model: {error.detail}")
        return repository, inspect_checkpoint(repository)


@dataclass
class _Facts:
    """What is known of a model so far. Where the inspection ends early, the row has the facts up to there."""

    listed: ListedModel
    kind: Kind
    card: Card
    usage: Usage
    checkpoint: Checkpoint
    token: str | None = None
    base_model: str | None = None
    files: dict[str, Any] | None = None


@dataclass(frozen=True)
class RowBuilder:
    """Makes rows of the catalogue from listed models."""

    reader: RepositoryReader
    bases: BaseModels
    kinds: tuple[Kind, ...]
    #: The current time, UTC in ISO 8601.
    clock: Callable[[], str]

    def build(self, listed: ListedModel, rank: int) -> CatalogEntry:
        """Inspect a listed model. An error that concerns only this model becomes the reason in its row.

        Raises `crawler.hub.client.UnavailableError` when no request to the Hub can succeed.
        """
        facts = _Facts(listed, listed.kind, Card(), Usage(), Checkpoint())
        incompatible: Incompatible | None = None
        try:
            self._inspect(facts)
        except Incompatible as error:
            incompatible = error
        except UnavailableError:
            raise
        except HubError as error:
            incompatible = Incompatible(Reason.HUB_ERROR, str(error))
        return _entry(facts, rank, self.clock(), incompatible)

    def _inspect(self, facts: _Facts) -> None:
        listed = facts.listed
        if listed.disabled:
            raise Incompatible(Reason.DISABLED, f"the Hub has disabled {listed.model_name}")
        repository = self.reader.open(listed.model_name, listed.revision)
        facts.card = _card(repository)
        facts.base_model = next(iter(facts.card.base_models or bases_in_tags(listed.tags)), None)
        facts.kind = _kind(listed, repository)
        if facts.kind == "checkpoint":
            facts.checkpoint = inspect_checkpoint(
                repository, listed.tags, lambda traits: _has_size(_usage(facts.card, listed.model_name, traits))
            )
            facts.usage = _usage(facts.card, listed.model_name, facts.checkpoint.traits)
            self._check_kind(facts)
            if facts.checkpoint.incompatible is not None:
                raise _with_format(facts.checkpoint.incompatible, repository)
        else:
            facts.usage = _usage(facts.card, listed.model_name, None)
            self._check_kind(facts)
            self._inspect_adapter(facts, repository)

    def _check_kind(self, facts: _Facts) -> None:
        if facts.kind not in self.kinds:
            raise Incompatible(Reason.OTHER_KIND, f"its files are those of a {facts.kind}")

    def _inspect_adapter(self, facts: _Facts, repository: Repository) -> None:
        usual_name = f"{_ADAPTER_FILES[facts.kind]}.safetensors"
        download = adapter_file(repository.files, (facts.usage.weight_name, usual_name), _ADAPTER_NAMES[facts.kind])
        if facts.kind == "textual-inversion":
            token = repository.read(TOKEN_FILE, max_bytes=1000)
            facts.token = token.decode("utf-8", "replace").strip() or None if token is not None else None
        facts.files = {"files": download.files, "download_bytes": download.size}
        named = facts.card.base_models or bases_in_tags(facts.listed.tags)
        if not named:
            raise Incompatible(Reason.BASE_MISSING, "neither its card nor a tag names a base_model")
        if len(named) > 1:
            raise Incompatible(Reason.BASE_AMBIGUOUS, f"its card names {len(named)} bases: {', '.join(named[:5])}")
        base, facts.checkpoint = self.bases.get(named[0])
        facts.usage = _usage(facts.card, facts.listed.model_name, facts.checkpoint.traits)
        facts.base_model = base.model_name
        facts.files |= {"base_revision": base.revision}
        if facts.checkpoint.incompatible is not None:
            detail = f"its base model {base.model_name}: {facts.checkpoint.incompatible}"
            raise Incompatible(Reason.BASE_INCOMPATIBLE, detail)
        facts.files |= {
            "base_files": facts.checkpoint.download.files,
            "download_bytes": download.size + facts.checkpoint.download.size,
        }


def _card(repository: Repository) -> Card:
    try:
        return read_card(repository.read_card())
    except Incompatible as error:
        if error.reason is Reason.MALFORMED:  # too large: the model may be usable without its card
            return Card(malformed=error.detail)
        raise


def _usage(card: Card, model_name: str, traits: PipelineTraits | None) -> Usage:
    return read_usage(card.document, model_name, traits.parameters if traits is not None else CALL_FIELDS)


def _has_size(usage: Usage) -> bool:
    return all(valid_or_none(side, usage.arguments.get(side)) is not None for side in ("height", "width"))


def _kind(listed: ListedModel, repository: Repository) -> Kind:
    """The kind of a model by its files, or by its tags where the files do not tell."""
    if MODEL_INDEX in repository.files:
        return "checkpoint"
    if listed.kind != "checkpoint":
        return listed.kind
    for kind, stem in _ADAPTER_FILES.items():
        if any(f"{stem}{suffix}" in repository.files for suffix in (".safetensors", ".bin")):
            return kind
    return "checkpoint"


def _with_format(incompatible: Incompatible, repository: Repository) -> Incompatible:
    """The same, or a more precise reason: weights only in another format, where there is no model_index.json."""
    has_safetensors = any(path.endswith(".safetensors") for path in repository.files)
    if incompatible.reason is not Reason.NO_MODEL_INDEX or has_safetensors:
        return incompatible
    reason = format_reason(repository.files)
    if reason not in _FORMATS:
        return incompatible
    return Incompatible(reason, f"{incompatible.detail}, and its weights are {_FORMATS[reason]} only")


def _tagged_class(listed: ListedModel) -> str | None:
    """The pipeline class in the tag `diffusers:...`, which the Hub sets from model_index.json."""
    return next((tag.removeprefix("diffusers:") for tag in listed.tags if tag.startswith("diffusers:")), None)


def _entry(facts: _Facts, rank: int, crawled_at: str, incompatible: Incompatible | None) -> CatalogEntry:
    listed, checkpoint, card = facts.listed, facts.checkpoint, facts.card
    license_ = license_of(card.metadata, listed.tags)
    hyperparameters, sources = hyperparameters_of(checkpoint.traits, card, facts.usage, checkpoint.config, facts.token)
    detail = incompatible.detail if incompatible is not None else None
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
        kind=facts.kind,
        base_model=facts.base_model,
        hyperparameters=hyperparameters,
        hyperparameter_sources=sources,
        variant=checkpoint.download.variant,
        gated=listed.gated,
        created_at=listed.created_at,
        last_modified=listed.last_modified,
        crawled_at=crawled_at,
        status="compatible" if incompatible is None else "incompatible",
        reason=incompatible.reason.value if incompatible is not None else None,
        reason_detail=detail,
        **(facts.files or {"files": checkpoint.download.files, "download_bytes": checkpoint.download.size}),
    )
