"""What a removal did, or would do, in lines for the terminal."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from workspace.number_text import counted
from workspace.size import text_of


@dataclass(frozen=True)
class RemovalReport:
    """What was removed, or would be (`dry_run`)."""

    dry_run: bool
    already: dict[str, str]
    """Generators that were removed before, with the reason and the day."""
    generators: dict[str, int]
    """The generators that had files or a row, with their images."""
    real_images: int
    prompts: int
    from_captions: Counter[str]
    """Images that were generated from captions of the removed real images, by generator."""
    with_generated: bool
    """Whether these were removed too."""
    made_from: tuple[str, ...]
    """Generators that were made from a removed one, and stay."""
    build: str | None
    """The command that builds the manifest again, which is removed as a whole; None: there was none."""
    size: int
    """Bytes of the generators' files."""
    completed: bool = False
    """Whether a removal that was interrupted before was completed."""
    damaged: tuple[Path, ...] = ()
    """Files of rows that are removed because they cannot be read."""
    own_files: tuple[Path, ...] = ()
    """Files at the top of the workspace that name what was removed, and are the user's to change."""

    def lines(self) -> Iterator[str]:
        """The same, for the terminal."""
        would = "would be removed" if self.dry_run else "removed"
        if self.completed:
            yield f"an interrupted removal {'would be' if self.dry_run else 'was'} completed"
        for name, why in self.already.items():
            yield f"{name}: removed before ({why})"
        for generator, images in self.generators.items():
            yield f"{generator}: {would}, with {counted(images, 'image')}"
        if self.generators:
            yield f"{text_of(self.size)} {'would be ' if self.dry_run else ''}freed"
        if self.prompts:
            yield f"{counted(self.real_images, 'real image')} {would}, with {counted(self.prompts, 'prompt')}"
        yield from self._of_generated(would)
        if self.made_from:
            shown = ", ".join(self.made_from[:10]) + (" ..." if len(self.made_from) > 10 else "")
            yield (
                f"{counted(len(self.made_from), 'generator')} made from it: {shown}: what they made stays, and their "
                "rows name it no more; name them too to remove them. Those that cannot be loaded without it are not "
                "sampled any more"
            )
        for path in self.damaged:
            yield f"{path} was damaged and is removed: `cf-sample` makes it again"
        for path in self.own_files:
            yield f"{path} still names what was removed: change it"
        if self.build is not None:
            yield f"manifest/ and report/ {would}, because they show it: run `{self.build}`"
        if self.generators or self.prompts:
            yield (
                "what was published or exported still has it: then run `cf-publish ORG/NAME --purge-history`, and "
                "export again"
            )

    def _of_generated(self, would: str) -> Iterator[str]:
        if not self.from_captions:
            return
        images = f"{counted(self.from_captions.total(), 'image')} of {counted(len(self.from_captions), 'generator')}"
        if self.with_generated:
            yield f"{images}, made from their captions, {would} too"
        else:
            yield (
                f"{images} made from their captions: they stay, without the caption (--with-generated removes them too)"
            )
