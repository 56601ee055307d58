"""The tests' guard holds here too: nothing leaves this machine."""

from tests.conftest import pytest_configure, pytest_sessionfinish

__all__ = ["pytest_configure", "pytest_sessionfinish"]
