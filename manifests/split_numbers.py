"""What the splits hold, in numbers of generators and images, and why some are in none."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from crawler.holdout import Holdouts, Split
from manifests.choices import Choices
from manifests.manifest import FAKE, REAL
from manifests.options import BuildOptions
from manifests.tables.generators import GeneratorRow
from samplers.planning.reservation import Reservation
from workspace.errors import UsageError
from workspace.number_text import counted, form


@dataclass(frozen=True)
class SplitNumbers:
    """Of one manifest."""

    choices: Choices
    reservation: Reservation
    """The prompts that were reserved when sampling."""
    generators: Sequence[GeneratorRow]
    images: Mapping[tuple[Split | None, int], int]
    """Rows by split (None: in none) and label."""

    @property
    def splits(self) -> tuple[Split, ...]:
        """The splits that somebody asked for, and train beside them; none where everything is for training."""
        asked: dict[Split, tuple[str, ...]] = {"validation": self.choices.validation, "test": self.choices.holdout}
        held: list[Split] = [split for split, holdouts in asked.items() if holdouts]
        return ("train", *held) if held else ()

    def require(self, options: BuildOptions) -> None:
        """Raise `UsageError` where an option leaves its split without any image."""
        for option, holdouts, split in (
            ("--holdout", options.holdout, "test"),
            ("--validation", options.validation, "validation"),
        ):
            if holdouts and split in self._empty():
                raise UsageError(
                    f"{option} {', '.join(holdouts)}: {'; '.join([f'{split} has no image', *self._why()])}"
                )

    def lines(self) -> Iterator[str]:
        """What to say of the splits; nothing where everything is for training."""
        if not self.splits:
            return
        yield from self._as_sampled()
        sampled = Counter(row.split for row in self.generators if row.kept)
        images = {split: self._number(split) for split in (*self.splits, None)}
        for name, numbers in (("generators", sampled), ("images", images)):
            texts = [f"{numbers[split]} {split}" for split in self.splits]
            yield f"{name}: {', '.join(texts)}, {numbers[None]} in neither"
        for split in self.splits:
            real, generated = (self.images.get((split, label), 0) for label in (REAL, FAKE))
            if not real + generated:
                yield f"{split} has no image"
            elif not real:
                yield f"{split} has no real image beside its {counted(generated, 'generated image')}"
            elif not generated:
                yield f"{split} has no generated image beside its {counted(real, 'real image')}"
        yield from self._why()

    def _as_sampled(self) -> Iterator[str]:
        """That the holdouts are those of sampling, which nobody may have named now."""
        same = self._same_as_sampled()
        if same.test or same.validation:
            yield f"held out as when sampling (recipe.toml): {same}"

    def _same_as_sampled(self) -> Holdouts:
        ours, sampled = self.choices.holdouts, self.reservation.holdouts
        return Holdouts(
            sampled.test if set(ours.test) == set(sampled.test) else (),
            sampled.validation if set(ours.validation) == set(sampled.validation) else (),
        )

    def _why(self) -> Iterator[str]:
        """Why images are in no split."""
        related = [row for row in self.generators if row.kept and row.split is None]
        of_related = sum(row.kept for row in related)
        if related:
            yield (
                f"in neither: {counted(of_related, 'generated image')} of {counted(len(related), 'generator')} "
                f"related to {form(len(related), 'one', 'some')} of another split (--kin ignore does without this rule)"
            )
        shared = self.images.get((None, FAKE), 0) - of_related
        if shared:
            yield (
                f"in neither: {counted(shared, 'generated image')} whose caption, its real image or the same picture "
                f"is in another split too ({self._remedy()})"
            )
        real = self.images.get((None, REAL), 0)
        if real:
            yield f"in neither: {counted(real, 'real image')}, with all images that were made of the captions"

    def _remedy(self) -> str:
        if not self.reservation.share:
            return (
                "`cf-sample --evaluation-prompts 0.1 --holdout ...` reserves captions for generators that are held out"
            )
        if self._same_as_sampled() != self.reservation.holdouts:
            return f"captions were reserved for other generators when sampling: {self.reservation.holdouts}"
        return "captions were reserved, so these are equal pictures, or images that were sampled otherwise"

    def _empty(self) -> set[Split]:
        return {split for split in self.splits if not self._number(split)}

    def _number(self, split: Split | None) -> int:
        return sum(self.images.get((split, label), 0) for label in (REAL, FAKE))
