"""Prompts that are reserved for the generators that are held out.

A detector that is evaluated on held-out generators must know neither them nor the captions and real images that their
images were made from. Where all generators draw from the same prompts, most training images share some of these, and
are lost for training. So a share of the prompts is for held-out generators only, another one for those of validation,
and the others get the rest.

Which share a prompt belongs to depends on its real image alone: its place in [0, 1) is a hash of `real_sha256` (of the
text where it has no real image), so all captions of an image, and equal files of several sources, are on one side, and
prompts that are added move no other one. Test has the lowest places, validation the highest.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from captioning.prompt_table import PromptText
from captioning.removed_prompts import Place, RemovedPrompt
from crawler.catalog import CatalogEntry
from crawler.holdout import Holdouts, Split
from workspace import recipe
from workspace.identity import reserved_place
from workspace.layout import Workspace


@dataclass(frozen=True)
class Reservation:
    """The share of the prompts that each held-out split has for itself (0: nothing is reserved), and its generators."""

    share: float = 0.0
    holdouts: Holdouts = Holdouts()

    @classmethod
    def named(cls, share: float, test: Iterable[str], validation: Iterable[str]) -> "Reservation":
        """That of options or of a recipe; the holdouts in one order. Raises `UsageError` as `parse_holdouts`."""
        return cls(share, Holdouts.parse(sorted(set(test)), sorted(set(validation))))

    @classmethod
    def of(cls, workspace: Workspace, last_round: int | None = None) -> "Reservation":
        """That with which the workspace was sampled up to a round (None: the newest), as its recipe has it; none before
        sampling."""
        settings = recipe.latest(workspace, "sample", last_round) or {}
        share, test, validation = (settings.get(name) for name in ("evaluation_prompts", "holdout", "validation"))
        return cls.named(share if isinstance(share, float) else 0.0, _texts(test), _texts(validation))

    def split_of_generator(self, entry: CatalogEntry) -> Split:
        """The split whose prompts a generator gets."""
        return self.holdouts.split_of(entry) if self.share else "train"

    def split_of_prompt(self, prompt: Place | PromptText) -> Split:
        """The split whose generators get a prompt."""
        if not self.share:
            return "train"
        if isinstance(prompt, RemovedPrompt):
            place = prompt.place
        else:
            place = reserved_place(prompt.real_sha256 or prompt.prompt)
        if self.holdouts.test and place < self.share:
            return "test"
        if self.holdouts.validation and place >= 1 - self.share:
            return "validation"
        return "train"


def _texts(value: object) -> list[str]:
    return [str(text) for text in value] if isinstance(value, list) else []
