"""What another user of this machine may do: root itself is refused nothing."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

_NOBODY = 65_534


@contextmanager
def other_user() -> Iterator[None]:
    """A block in which this process has the rights of another user; skips the test where it cannot change."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
