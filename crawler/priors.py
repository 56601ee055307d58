"""Pipelines in two repositories: a decoder, and the prior that makes the image embeddings it decodes.

The decoder's card names the prior (`prior:` in its front matter), as diffusers reads it for its combined pipelines:
Kandinsky 2.1 and 2.2, Würstchen, Stable Cascade. Both are pinned in the decoder's row; the prior alone makes no images.
"""

from crawler.base_models import BaseModel, BaseModels
from crawler.card.model_card import Card
from crawler.pipelines.checkpoint import Checkpoint
from crawler.reasons import Incompatible, Reason

# diffusers gives the prior's components to the combined pipeline under this prefix.
_PREFIX = "prior_"


def complete_decoder(decoder: Checkpoint, card: Card, models: BaseModels) -> BaseModel:
    """The prior of a decoder; raises `Incompatible` when the two make no pipeline, or `HubError`.

    Where the prior's weights are pickles, its `checkpoint.incompatible` says so; the caller decides.
    """
    if not card.priors:
        detail = f"{decoder.class_name} decodes what a prior makes, and its card names none (`prior:` in front matter)"
        raise Incompatible(Reason.NEEDS_INPUT_IMAGE, detail)
    prior = models.get(card.priors[0], is_prior=True)  # as diffusers, which reads the first
    name, problem = prior.repository.model_name, prior.checkpoint.incompatible
    if problem is not None and problem.reason is not Reason.PICKLE_ONLY:
        raise Incompatible(problem.reason, f"its prior {name}: {problem.detail}")
    combined = decoder.traits
    required = set(combined.components) - combined.optional_components if combined is not None else set()
    needed = {part for part in required if part.startswith(_PREFIX)}
    absent = sorted(needed - {f"{_PREFIX}{part}" for part in prior.checkpoint.components})
    if absent:
        detail = f"its prior {name}, a {prior.checkpoint.class_name}, has no {absent[0].removeprefix(_PREFIX)}"
        raise Incompatible(Reason.MISSING_FILES, detail)
    variants = {decoder.download.variant, prior.checkpoint.download.variant} - {None}
    if len(variants) > 1:
        detail = f"weights of one variant: it and its prior {name} have different ones"
        raise Incompatible(Reason.MISSING_FILES, detail)
    return prior
