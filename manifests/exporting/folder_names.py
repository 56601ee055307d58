"""Names of generators as folders: valid on every file system, and unique where upper and lower case are the same.

`org/name` becomes `org--name`, and everything but letters, digits, `-` and `_` an underscore: readers take a dot for
the start of an extension, or look for texts such as `.pickle` or `0_real` anywhere in a path.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable

#: Characters of a folder's name at most.
_LONGEST = 100
#: Names that a reader, or Windows, has a meaning for.
_RESERVED = re.compile(
    r"real|fake|ai|nature|train|val|validation|test|con|prn|aux|nul|(com|lpt)[0-9]|-.*", re.ASCII | re.IGNORECASE
)
_LABELS = re.compile("(0|1)_(real|fake)", re.ASCII | re.IGNORECASE)


def folder_names(generators: Iterable[str]) -> dict[str, str]:
    """The folder of each generator, by its repository id: a different one for each.

    A name that another generator, or something else, would have too gets the start of its sha256.
    """
    plain = {generator: _plain(generator) for generator in generators}
    times = Counter(name.lower() for name in plain.values())
    return {
        generator: name
        if times[name.lower()] == 1 and not _RESERVED.fullmatch(name)
        else f"{name[: _LONGEST - 20]}-{hashlib.sha256(generator.encode()).hexdigest()[:16]}".lstrip("-")
        for generator, name in plain.items()
    }


def _plain(generator: str) -> str:
    name = re.sub("[^A-Za-z0-9_-]", "_", generator.replace("/", "--"), flags=re.ASCII)
    return _LABELS.sub(r"\1-\2", name)[:_LONGEST]
