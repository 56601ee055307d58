"""The provider's key: from the environment, and in no text that is written or printed."""

import os
import re
from dataclasses import dataclass, field

from workspace.errors import UsageError
from workspace.printable import in_line

_KEY = re.compile(r"[\x21-\x7e]{1,8192}")


@dataclass(frozen=True)
class Key:
    """A key, and the variable of the environment that has it."""

    name: str
    value: str = field(repr=False)

    @classmethod
    def of_environment(cls, name: str) -> "Key":
        """The key in a variable. Raises `UsageError` where there is none, or what no header can have."""
        value = os.environ.get(name, "").strip()
        if not value:
            raise UsageError(
                f"the provider's key is missing: put it into the variable {name} of the environment (any text for a "
                "server that needs none)"
            )
        if not _KEY.fullmatch(value):
            # Clients would quote it in their error.
            raise UsageError(f"{name} is no key: it has spaces or other characters that no key has")
        return cls(name, value)

    def without(self, text: str) -> str:
        """A text from outside, in one line, with *** wherever it has the key."""
        return in_line(text.replace(self.value, "***"))
