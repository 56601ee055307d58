"""One row of the catalogue, from the list of models, the repository, its card and the models that it needs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from crawler.adapters import AdapterFiles, base_of, find_adapter
from crawler.base_models import BaseModel, BaseModels, read_card_of
from crawler.base_settings import with_base_settings
from crawler.card.licenses import License, license_of
from crawler.card.model_card import Card
from crawler.card.snippets import Usage, read_usage
from crawler.catalog import CatalogEntry, Hyperparameters, HyperparameterSources, ModelFile
from crawler.effective_licenses import effective_license
from crawler.hub.client import UnavailableError
from crawler.hub.listing import ListedModel
from crawler.hub.repository import Repository
from crawler.hyperparameters import CALL_FIELDS, hyperparameters_of, texts_too_long, valid_or_none
from crawler.kinds import is_test_repository, kind_of
from crawler.lineage import bases_in_tags
from crawler.local.reader import CHECKPOINT, LocalReader
from crawler.local_generator import LocalGenerator
from crawler.options import Kind
from crawler.pipelines.checkpoint import Checkpoint, inspect_checkpoint
from crawler.pipelines.components import missing_packages
from crawler.pipelines.traits import PipelineTraits, describe
from crawler.pipelines.weight_files import format_reason
from crawler.priors import complete_decoder
from crawler.reasons import Incompatible, Reason
from crawler.single_files import SingleFile
from workspace.errors import HubError
from workspace.printable import in_line

# Formats that say more about a repository than that it has no model_index.json.
_FORMATS = {Reason.QUANTIZED_ONLY: "quantized", Reason.ONNX_ONLY: "for ONNX"}


@dataclass
class _Facts:
    """What is known of a model so far. Where the inspection ends early, the row has the facts up to there."""

    listed: ListedModel
    kind: Kind
    card: Card
    usage: Usage
    #: Its own, or its base model's.
    checkpoint: Checkpoint
    base_model: str | None = None
    adapter: AdapterFiles | None = None
    #: The file itself, where it is a checkpoint in one file.
    single_file: ModelFile | None = None
    #: The opened base model of an adapter, or of a single file.
    base: BaseModel | None = None
    prior: BaseModel | None = None
    settings: tuple[Hyperparameters, HyperparameterSources] | None = None


@dataclass(frozen=True)
class RowBuilder:
    """Makes rows of the catalogue from listed models."""

    reader: LocalReader
    bases: BaseModels
    kinds: tuple[Kind, ...]
    #: URL of the Hub.
    endpoint: str
    #: Whether models for software tests are inspected too.
    test_repositories: bool
    #: The current time, UTC in ISO 8601.
    clock: Callable[[], str]

    def build(self, listed: ListedModel, rank: int, local: LocalGenerator | None = None) -> CatalogEntry:
        """Inspect a listed model. An error that concerns only this model becomes the reason in its row.

        `local` is what the user says of it, where it is on this machine.
        Raises `crawler.hub.client.UnavailableError` when no request to the Hub can succeed.
        """
        facts = _Facts(listed, listed.kind, Card(), Usage(), Checkpoint())
        incompatible: Incompatible | None = None
        try:
            self._inspect(facts, local)
        except Incompatible as error:
            incompatible = error
        except UnavailableError:
            raise
        except HubError as error:
            incompatible = Incompatible(Reason.HUB_ERROR, str(error))
        return _entry(facts, self.endpoint, rank, self.clock(), incompatible)

    def _inspect(self, facts: _Facts, local: LocalGenerator | None) -> None:
        listed = facts.listed
        if listed.disabled:
            raise Incompatible(Reason.DISABLED, f"the Hub has disabled {listed.model_name}")
        if is_test_repository(listed.model_name) and not self.test_repositories:
            raise Incompatible(
                Reason.TEST_REPOSITORY, "a model for software tests; --include-test-repositories takes it"
            )
        repository = self.reader.open(listed.model_name, listed.revision)
        refused: Incompatible | None = None
        try:
            facts.card = read_card_of(repository)
        except Incompatible as error:
            # The Hub tells the front matter and the files even where it refuses to give them.
            facts.card, refused = Card(metadata=repository.card_data), error
        facts.base_model = next(iter(facts.card.base_models or bases_in_tags(listed.tags)), None)
        facts.kind = kind_of(listed.tags, repository.files)
        self._check_kind(facts)
        if refused is not None:
            raise refused
        if local is not None and local.is_file:
            self._inspect_single_file(facts, repository, local)
        elif facts.kind == "checkpoint":
            self._inspect_checkpoint(facts, repository)
        else:
            facts.usage = _usage(facts.card, listed.model_name, None)
            self._inspect_adapter(facts, repository)
        facts.settings = _settings(facts)
        _check_scheduler(*facts.settings)

    def _check_kind(self, facts: _Facts) -> None:
        if facts.kind not in self.kinds:
            raise Incompatible(Reason.OTHER_KIND, f"its files are those of a {facts.kind}")

    def _inspect_checkpoint(self, facts: _Facts, repository: Repository) -> None:
        listed = facts.listed
        facts.checkpoint = inspect_checkpoint(
            repository, listed.tags, lambda traits: _has_size(_usage(facts.card, listed.model_name, traits))
        )
        facts.usage = _usage(facts.card, listed.model_name, facts.checkpoint.traits)
        if facts.checkpoint.incompatible is not None and facts.checkpoint.incompatible.reason is not Reason.PICKLE_ONLY:
            raise _with_format(facts.checkpoint.incompatible, repository)
        problem = facts.checkpoint.incompatible
        if facts.checkpoint.needs_prior:
            facts.prior = complete_decoder(facts.checkpoint, facts.card, self.bases)
            problem = problem or facts.prior.checkpoint.incompatible
        if problem is not None:
            raise problem

    def _inspect_single_file(self, facts: _Facts, repository: Repository, local: LocalGenerator) -> None:
        facts.single_file = repository.files[CHECKPOINT]
        single = SingleFile.read(self.reader, local)
        facts.base = base = self.bases.get(*single.base_of(local))
        facts.base_model, facts.checkpoint = base.repository.model_name, base.checkpoint
        facts.checkpoint = single.inspect(base)
        facts.usage = _usage(facts.card, local.name, facts.checkpoint.traits)
        _check_base(facts, facts.checkpoint.incompatible)

    def _inspect_adapter(self, facts: _Facts, repository: Repository) -> None:
        listed = facts.listed
        facts.adapter = find_adapter(facts.kind, repository, facts.card, facts.usage)
        facts.base = base = self.bases.get(base_of(facts.card, facts.usage, listed.tags))
        facts.base_model, facts.checkpoint = base.repository.model_name, base.checkpoint
        facts.usage = _usage(facts.card, listed.model_name, base.checkpoint.traits)
        problem = base.checkpoint.incompatible
        if base.checkpoint.needs_prior and problem is None:
            problem = Incompatible(Reason.NEEDS_OTHER_INPUT, "it is a decoder, which works with the images of a prior")
        _check_base(facts, problem)
        if facts.adapter.download.pickled is not None:
            raise Incompatible(Reason.PICKLE_ONLY, facts.adapter.download.pickled)


def _check_base(facts: _Facts, problem: Incompatible | None) -> None:
    """Raise `Incompatible` where a base model cannot be sampled."""
    if problem is not None:
        # What another command, a token or a package can change is the adapter's reason too.
        passed_on = (Reason.PICKLE_ONLY, Reason.GATED, Reason.NEEDS_PACKAGE)
        reason = problem.reason if problem.reason in passed_on else Reason.BASE_INCOMPATIBLE
        raise Incompatible(reason, f"its base model {facts.base_model}: {problem}")


def _usage(card: Card, model_name: str, traits: PipelineTraits | None) -> Usage:
    return read_usage(card.document, model_name, traits.parameters if traits is not None else CALL_FIELDS)


def _has_size(usage: Usage) -> bool:
    return all(valid_or_none(side, usage.arguments.get(side)) is not None for side in ("height", "width"))


def _with_format(incompatible: Incompatible, repository: Repository) -> Incompatible:
    """The same, or a more precise reason: weights only in another format, where there is no model_index.json."""
    has_safetensors = any(path.endswith(".safetensors") for path in repository.files)
    if incompatible.reason is not Reason.NO_MODEL_INDEX or has_safetensors:
        return incompatible
    reason = format_reason(repository.files)
    if reason not in _FORMATS:
        return incompatible
    return Incompatible(reason, f"{incompatible.detail}, and its weights are {_FORMATS[reason]} only")


def _settings(facts: _Facts) -> tuple[Hyperparameters, HyperparameterSources]:
    checkpoint = facts.checkpoint
    found = hyperparameters_of(checkpoint.traits, facts.card, facts.usage, checkpoint.config, _token(facts))
    return found if facts.base is None else with_base_settings(found, facts.base.settings)


def _unread(facts: _Facts) -> tuple[str, ...]:
    names = (*facts.usage.unread, *texts_too_long(facts.card, facts.usage, _token(facts)))
    return tuple(dict.fromkeys(names))


def _token(facts: _Facts) -> str | None:
    """The token of a textual inversion, by a file of its repository."""
    is_inversion = facts.adapter is not None and facts.kind == "textual-inversion"
    return next(iter(facts.adapter.tokens), None) if is_inversion and facts.adapter is not None else None


def _check_scheduler(settings: Hyperparameters, sources: HyperparameterSources) -> None:
    """Raise unknown-class or needs-package for the scheduler of a card that cannot be used."""
    scheduler = settings.scheduler
    if scheduler is None or sources.scheduler == "config":
        return
    missing = missing_packages("diffusers", scheduler)
    if missing is None:
        raise Incompatible(Reason.UNKNOWN_CLASS, f"its card uses {scheduler}: no such class in the installed diffusers")
    if missing:
        needed = " and ".join(sorted(missing))
        raise Incompatible(Reason.NEEDS_PACKAGE, f"its card uses {scheduler}, which needs {needed}: not installed")


def _tagged_class(listed: ListedModel) -> str | None:
    """The pipeline class in the tag `diffusers:...`, which the Hub sets from model_index.json."""
    return next((tag.removeprefix("diffusers:") for tag in listed.tags if tag.startswith("diffusers:")), None)


def _licenses(facts: _Facts, own: License) -> Iterator[tuple[str, License]]:
    yield facts.listed.model_name, own
    for other in (facts.base, facts.prior):
        if other is not None:
            yield other.repository.model_name, other.license


def _files(facts: _Facts) -> dict[str, Any]:
    """The columns of what sampling downloads."""
    checkpoint, adapter, prior, base = facts.checkpoint, facts.adapter, facts.prior, facts.base
    found: dict[str, Any] = {}
    if facts.single_file is not None:
        found |= {"files": (facts.single_file,), "single_file": CHECKPOINT}
    elif adapter is None:
        found["files"] = checkpoint.download.files
    else:
        found |= {
            "files": adapter.download.files,
            "adapter_file": adapter.weights,
            "embedding_file": adapter.embeddings,
            "embedding_tokens": adapter.tokens,
        }
    if base is not None:
        found |= {"base_revision": base.repository.revision, "base_files": checkpoint.download.files}
    if prior is not None:
        found |= {
            "prior_model": prior.repository.model_name,
            "prior_revision": prior.repository.revision,
            "prior_files": prior.checkpoint.download.files,
        }
    listed = (file for name in ("files", "base_files", "prior_files") for file in found.get(name, ()))
    return found | {"download_bytes": sum(file.size for file in listed)}


def _entry(facts: _Facts, endpoint: str, rank: int, crawled_at: str, incompatible: Incompatible | None) -> CatalogEntry:
    listed, checkpoint, card = facts.listed, facts.checkpoint, facts.card
    license_ = license_of(card.metadata, listed.tags)
    hyperparameters, sources = facts.settings or _settings(facts)
    detail = in_line(incompatible.detail) if incompatible is not None else None
    if card.malformed is not None:
        detail = f"{detail}; malformed: {card.malformed}" if detail is not None else f"malformed: {card.malformed}"
    class_name = checkpoint.class_name or _tagged_class(listed)
    traits = checkpoint.traits or (describe(class_name) if class_name is not None else None)
    variants = (checkpoint.download.variant, facts.prior.checkpoint.download.variant if facts.prior else None)
    return CatalogEntry(
        model_name=listed.model_name,
        revision=listed.revision,
        endpoint=endpoint,
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
        hf_diffusers_tag=class_name,
        tags=listed.tags,
        architecture=checkpoint.architecture,
        architecture_evidence=checkpoint.architecture_evidence,
        task=traits.task if traits is not None else None,
        kind=facts.kind,
        base_model=facts.base_model,
        hyperparameters=hyperparameters,
        hyperparameter_sources=sources,
        unread_settings=_unread(facts),
        variant=next((variant for variant in variants if variant is not None), None),
        gated=listed.gated,
        created_at=listed.created_at,
        last_modified=listed.last_modified,
        crawled_at=crawled_at,
        status="compatible" if incompatible is None else "incompatible",
        reason=incompatible.reason.value if incompatible is not None else None,
        reason_detail=detail,
        **effective_license(_licenses(facts, license_)),
        **_files(facts),
    )
