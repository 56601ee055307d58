"""What must hold between the rows of a generator and what its outcome counted."""

from collections.abc import Mapping

from manifests.checks.failures import NAMED_ROWS, Failure
from samplers.outcomes import Outcome


def check_outcomes(outcomes: Mapping[str, Outcome], tries: Mapping[str, Mapping[str, int]]) -> list[Failure]:
    """Generators that have lost rows since their outcome was written; `tries` has how many ended how, by generator.

    More rows than an outcome counts are no failure: sampling goes on, and outcomes are written when it ends.
    """
    lost: list[str] = []
    for name, outcome in sorted(outcomes.items()):
        found = tries.get(name, {})
        tried, kept = sum(found.values()), found.get("kept", 0)
        if tried < outcome.tries or (tried == outcome.tries and kept != outcome.kept):
            lost.append(f"{name} (has {tried} and {kept}, counted {outcome.tries} and {outcome.kept})")
    what = "are generators with another number of tries and images than their outcome counts"
    return [Failure(what, len(lost), tuple(lost[:NAMED_ROWS]))] if lost else []
