"""The studies: what each varies, with the numbers of the figure that it repeats."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from detectors.options import StudyOptions
from workspace.errors import UsageError

#: The model of the study's figures, and the one beside it in figures 5b and 6a.
_VIT, _CONVNEXT = "cf-vit-s-384", "cf-convnext-s"


@dataclass(frozen=True)
class Design:
    """A study by default: the figure, what its x axis is, its points, repeats and steps, and its models."""

    figure: str
    title: str
    axis: str
    points: tuple[int, ...]
    repeats: int
    steps: int
    models: tuple[str, ...]


#: Points, repeats and steps are those of the study's figures, as far as its text says them.
DESIGNS: Mapping[str, Design] = {
    "generators": Design(
        "1", "Number of training generators", "generators", (3, 10, 30, 100, 300, 1000, 3333), 10, 3000, (_VIT,)
    ),
    "images": Design(
        "4", "Number of training images", "images", (3_000, 9_000, 27_000, 81_000, 243_000), 4, 3000, (_VIT,)
    ),
    "architectures": Design("5a", "Architectures of the training generators", "", (), 1, 52_000, (_VIT,)),
    "backbone": Design("5b", "Backbones, trained on each dataset", "", (), 1, 52_000, (_VIT, _CONVNEXT)),
    "freezing": Design("6a", "Frozen backbones", "", (), 1, 52_000, (_VIT, _CONVNEXT)),
    "pairing": Design("6b", "Sources of real images and of captions", "", (), 1, 52_000, (_VIT,)),
    "iterations": Design("13", "Training steps", "steps", (800, 3_200, 13_000, 36_000, 104_000), 1, 0, (_VIT,)),
}


def design_of(options: StudyOptions) -> Design:
    """The design with what was asked for. Raises `UsageError`."""
    if options.study not in DESIGNS:
        raise UsageError(f"there is no study {options.study}: name one of {', '.join(DESIGNS)}")
    design = DESIGNS[options.study]
    if options.points and not design.points:
        raise UsageError(f"--points: the study `{options.study}` has none")
    return replace(
        design,
        points=options.points or design.points,
        repeats=design.repeats if options.repeats is None else options.repeats,
        steps=design.steps if options.steps is None else options.steps,
        models=options.models or design.models,
    )
