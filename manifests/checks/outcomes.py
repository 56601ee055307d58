"""What must hold between the samples of a generator and what its outcome counted."""

from collections.abc import Mapping

from manifests.checks.failures import NAMED_ROWS, Failure, Problem
from manifests.checks.remedies import SAMPLE_AGAIN
from samplers.outcomes import Outcome

_LOST = Problem(
    "[generator has|generators have] fewer samples than [its outcome|their outcomes] counted, or other images",
    f"restore samples/ from a copy, or {SAMPLE_AGAIN}",
)


def check_outcomes(outcomes: Mapping[str, Outcome], results: Mapping[str, Mapping[str, int]]) -> list[Failure]:
    """Generators that have lost samples since their outcome was written; `results` has how many of a generator's
    samples had which result, by its name.

    More samples than an outcome counts are no failure: sampling goes on, and outcomes are written when it ends.
    """
    lost: list[str] = []
    for name, outcome in sorted(outcomes.items()):
        found = results.get(name, {})
        samples, kept, removed = sum(found.values()), found.get("kept", 0), found.get("removed", 0)
        other_images = not kept <= outcome.kept <= kept + removed
        if samples < outcome.tries or (samples == outcome.tries and other_images):
            lost.append(f"{name} (samples {samples}, kept {kept}; counted {outcome.tries} and {outcome.kept})")
    return [Failure(_LOST, len(lost), tuple(lost[:NAMED_ROWS]))] if lost else []
