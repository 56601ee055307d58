"""Fuzzing of readers of strangers' files: some examples with `make test`, ten minutes a reader with `make soak`.

Each example has limits, whatever else its test asserts: of the time of the processor, and of the memory by which the
process grows, Arrow's and Pillow's too.
"""

import functools
import resource
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings

from tests.bounds import within
from tests.scale import SOAK

#: Seconds of each with `make soak`.
SECONDS = 600
#: Examples after which new ones are begun from other random numbers.
_ROUND = 2000
#: Seconds of the processor, and kilobytes, for one example.
_PROCESSOR, _MEMORY = 20.0, 1 << 20


def fuzzed(usual: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorates a test with `given`: `usual` examples, or new ones for ten minutes with `make soak`."""

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        own: Any = test
        own.hypothesis.inner_test = _limited(own.hypothesis.inner_test)
        fixtures = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
        if not SOAK:
            return settings(max_examples=usual, suppress_health_check=fixtures)(test)
        one_round = settings(max_examples=_ROUND, database=None, suppress_health_check=fixtures)(test)

        @functools.wraps(one_round)
        def for_ten_minutes(*arguments: Any, **named: Any) -> None:
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                one_round(*arguments, **named)

        return for_ten_minutes

    return decorate


def _limited(example: Callable[..., None]) -> Callable[..., None]:
    """One example within the limits."""

    @functools.wraps(example)
    def limited(*arguments: Any, **named: Any) -> None:
        with suppress(OSError):  # Linux only: the most that the process had so far counts from now on
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with within(seconds=_PROCESSOR):
            example(*arguments, **named)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < _MEMORY

    return limited
