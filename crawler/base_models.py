"""The models that others need: the base of an adapter and the prior of a decoder, each inspected once."""

from collections.abc import Mapping
from dataclasses import dataclass

from crawler.card.licenses import License, license_of
from crawler.card.model_card import Card, read_card
from crawler.card.snippets import Usage, read_usage
from crawler.catalog import Hyperparameters, HyperparameterSources
from crawler.hub.repository import Reader, Repository
from crawler.hub.single_flight import SingleFlight
from crawler.hyperparameters import hyperparameters_of
from crawler.pipelines.checkpoint import Checkpoint, inspect_checkpoint
from crawler.reasons import Incompatible, Reason
from workspace.errors import UsageError
from workspace.repo_id import checked_repo_id


@dataclass(frozen=True)
class BaseModel:
    """A model that another needs. `repository.model_name` is the name under which the Hub has it now."""

    repository: Repository
    card: Card
    checkpoint: Checkpoint
    #: How its own card says that it is sampled, and the source of each value.
    settings: tuple[Hyperparameters, HyperparameterSources]

    @property
    def license(self) -> License:
        """Its licence, by its card."""
        return license_of(self.card.metadata, self.repository.tags)


class BaseModels:
    """Models by name; may be used from any number of threads."""

    def __init__(self, reader: Reader, revisions: Mapping[str, str]) -> None:
        """`revisions` has the commits of listed models; the newest commit of others is used."""
        self._reader, self._revisions = reader, revisions
        self._inspected: SingleFlight[tuple[str, str | None, bool], BaseModel | Incompatible] = SingleFlight()

    def get(self, model_name: str, is_prior: bool = False, revision: str | None = None) -> BaseModel:
        """A base model, or the prior of a decoder, inspected; raises `Incompatible` (base-missing) or `HubError`.

        `revision`: the commit to take, where it is not that of the listed model or the newest.
        """
        at = revision or self._revisions.get(model_name)
        found = self._inspected.get((model_name, at, is_prior), lambda: self._inspect(model_name, at, is_prior))
        if isinstance(found, Incompatible):
            raise found
        return found

    def _inspect(self, model_name: str, revision: str | None, is_prior: bool) -> BaseModel | Incompatible:
        what, missing = ("prior", Reason.MISSING_FILES) if is_prior else ("base model", Reason.BASE_MISSING)
        try:
            checked_repo_id(model_name)
            repository = self._reader.open(model_name, revision)
            card = read_card_of(repository)
        except UsageError as error:
            return Incompatible(missing, str(error))
        except Incompatible as error:
            if error.reason is Reason.GATED:
                return Incompatible(Reason.GATED, f"its {what} {error.detail}")
            return Incompatible(missing, f"{what}: {error.detail}")
        checkpoint = inspect_checkpoint(repository, is_prior=is_prior)
        traits = checkpoint.traits
        usage = read_usage(card.document, model_name, traits.parameters) if traits is not None else Usage()
        settings = hyperparameters_of(traits, card, usage, checkpoint.config)
        return BaseModel(repository, card, checkpoint, settings)


def read_card_of(repository: Repository) -> Card:
    """The card of a repository; raises `Incompatible` (gated, gone) or `HubError`."""
    try:
        return read_card(repository.read_card())
    except Incompatible as error:
        if error.reason is Reason.MALFORMED:  # too large: the model may be usable without its card
            return Card(malformed=error.detail)
        raise
