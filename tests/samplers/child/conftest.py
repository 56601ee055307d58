"""What the tests of the child share."""

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def _frozen_libraries() -> Iterator[None]:
    """As in the child: the garbage collector need not visit the libraries' objects each time memory is freed."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
