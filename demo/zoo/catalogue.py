"""The list of all repositories of the zoo."""

from demo.zoo import (
    adapters,
    captioner,
    diffusion_transformers,
    digits,
    embeddings,
    flow_transformers,
    language_models,
    latent_unets,
    safety,
    stable_diffusion,
    unconditional,
    wild,
)
from demo.zoo.repository import Repository

_FAMILIES = (
    stable_diffusion,
    latent_unets,
    diffusion_transformers,
    flow_transformers,
    language_models,
    unconditional,
    adapters,
    embeddings,
    digits,
    wild,
    safety,
    captioner,
)


def repositories() -> list[Repository]:
    """All repositories, most downloaded first."""
    found = [repository for family in _FAMILIES for repository in family.repositories()]
    return sorted(found, key=lambda repository: (-repository.downloads, repository.repo_id))
