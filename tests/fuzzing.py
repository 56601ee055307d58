"""Fuzzing of readers of strangers' files: some examples with `make test`, ten minutes a reader with `make soak`."""

import functools
import time
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings

from tests.scale import SOAK

#: Seconds of each with `make soak`.
SECONDS = 600
#: Examples after which new ones are begun from other random numbers.
_ROUND = 2000


def fuzzed(usual: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorates a test with `given`: `usual` examples, or new ones for ten minutes with `make soak`."""

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        fixtures = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
        if not SOAK:
            return settings(max_examples=usual, deadline=None, suppress_health_check=fixtures)(test)
        one_round = settings(max_examples=_ROUND, deadline=None, database=None, suppress_health_check=fixtures)(test)

        @functools.wraps(one_round)
        def for_ten_minutes(*arguments: Any, **named: Any) -> None:
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                one_round(*arguments, **named)

        return for_ten_minutes

    return decorate
