"""A workspace that grows in rounds: more images of the same generators, further revisions, new sources, equal files."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from captioning.prompt import Prompt
from crawler.catalog import CatalogEntry
from tests.manifests.making import Builder, sha256

#: Numbers that each round of a generator's samples has for itself.
SEGMENT = 100


@dataclass
class Growing:
    """A builder and what its rounds have added; everything depends on `seed`."""

    builder: Builder
    seed: int
    rounds: int = 0
    photos: Iterator[int] = field(default_factory=lambda: iter(range(10_000)))

    def grow(self) -> None:
        """Add one round."""
        self.rounds += 1
        random_ = random.Random(f"{self.seed} {self.rounds}")
        self._photograph(random_)
        self._find_generators(random_)
        for generator in self.builder.catalog:
            if generator.last_round is None or generator.last_round >= self.rounds:
                self._sample(generator, random_)

    def _photograph(self, random_: random.Random) -> None:
        """Real images of two sources: some files are in both, some captions are those of several images."""
        known = [prompt for prompts in self.builder.prompts.values() for prompt in prompts]
        for source in random_.sample(["a-photos", "m-scans", "z-photos"], 2):
            for _ in range(random_.randint(3, 5)):
                self._real(source, f"a thing like {random_.randrange(12)}", redistributable=random_.random() < 0.7)
            if known:
                self._copy(source, random_.choice(known))

    def _real(self, source: str, text: str, **changes: Any) -> Prompt:
        number = next(self.photos)
        return self.builder.real(source, number, prompt=text, round=self.rounds, **changes)

    def _copy(self, source: str, of: Prompt) -> None:
        """The file of another real image, under another name."""
        real_id = f"copy-{next(self.photos)}.png"
        copy = replace(
            of, real_source=source, real_title=source.upper(), real_id=real_id, prompt_id=f"{source}/{real_id}",
            prompt=f"a copy of {of.prompt}", round=self.rounds,
        )  # fmt: skip
        self.builder.prompts.setdefault(source, []).append(copy)

    def _find_generators(self, random_: random.Random) -> None:
        """A generator, a relative of it, and a further revision of an earlier one."""
        before = [entry for entry in self.builder.catalog if not entry.further_revision]
        base = f"org/base-{self.rounds}"
        for kind in ("one", "sister"):
            self.builder.generator(
                f"org/{kind}-{self.rounds}", base_model=base, lineage=(base,), round=self.rounds,
                architecture=random_.choice(["LatDiff", "PixDiff"]),
            )  # fmt: skip
        if before:
            old = random_.choice(before)
            self.builder.generator(
                old.model_name, base_model=old.base_model, lineage=old.lineage, round=self.rounds,
                revision=sha256(f"{old.model_name} {self.rounds}".encode())[:40], further_revision=True,
                architecture=old.architecture,
            )  # fmt: skip

    def _sample(self, generator: CatalogEntry, random_: random.Random) -> None:
        """Some images, a few of which are equal to others."""
        prompts = [prompt for of_source in self.builder.prompts.values() for prompt in of_source]
        rows = self.builder.samples.get(generator.generator, [])
        first = SEGMENT * (self.rounds - generator.round) if rows else 0
        for number in range(random_.randint(2, 4)):
            equal = random_.random() < 0.3
            content = self.builder.picture(f"equal of {generator.base_model}", random_.randrange(3)) if equal else None
            index = first + number
            picture = content or self.builder.picture(generator.generator, index)
            self.builder.sample(
                generator, random_.choice(prompts), picture, index=index, round=self.rounds,
                seed=int(sha256(f"{generator.generator} {index}".encode())[:12], 16),
            )  # fmt: skip
