"""The tests' guard holds here too: nothing leaves this machine."""

from tests.conftest import pytest_sessionfinish, pytest_unconfigure

__all__ = ["pytest_sessionfinish", "pytest_unconfigure"]
