"""Every repository of the zoo."""

from demo.zoo import class_conditional, latent_unets, safety, stable_diffusion
from demo.zoo.repository import Repository


def repositories() -> list[Repository]:
    """All of them, most downloaded first."""
    families = (stable_diffusion, latent_unets, class_conditional, safety)
    found = [repository for family in families for repository in family.repositories()]
    return sorted(found, key=lambda repository: (-repository.downloads, repository.repo_id))
