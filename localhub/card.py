"""A card's metadata: the YAML block at the top of README.md. It is untrusted.

A block that is broken, too deeply nested for the parser's stack, or that grows through aliases gives no metadata; the
repository is still served, as on the real Hub.
"""

import json
import math
import re
from typing import Any

import yaml

#: The block between two lines of three dashes at the very beginning (huggingface_hub.repocard.REGEX_YAML_BLOCK).
_FRONT_MATTER = re.compile(r"\A\s*---[ \t]*\r?\n(.*?)(?:\r?\n)?^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)

#: A card's metadata is a few kilobytes; datasets with many features reach some hundred.
MAX_YAML_BYTES = 1 << 20
#: libyaml's composer recurses without a limit: some ten thousand levels end the process with a segmentation fault.
MAX_DEPTH = 64
#: Each alias may double the size of the value.
MAX_ALIASES = 16


class BrokenCardError(ValueError):
    """The metadata block is invalid; the message says why, often in the words of the YAML parser."""


def front_matter(readme: str) -> str | None:
    """The text between the dashes; None if the card has no such block."""
    match = _FRONT_MATTER.match(readme.removeprefix("\ufeff"))
    return match.group(1) if match else None


def parse(readme: str) -> dict[str, Any] | None:
    """The card's metadata as plain JSON values; None if there is no block. Raises `BrokenCardError`."""
    block = front_matter(readme)
    if block is None:
        return None
    if len(block) > MAX_YAML_BYTES:
        raise BrokenCardError(f"the metadata is larger than {MAX_YAML_BYTES} bytes")
    try:
        _check_shape(block)
        value = yaml.load(block, Loader=yaml.CSafeLoader)
        # Dates become text and NaN becomes null, as the Hub's JSON has them.
        plain = json.loads(json.dumps(value, default=str), parse_constant=lambda _constant: None)
    except BrokenCardError:
        raise
    except (yaml.YAMLError, ValueError, TypeError, RecursionError, OverflowError) as error:
        raise BrokenCardError(" ".join(str(error).split())) from error
    if plain is None:
        return None
    if not isinstance(plain, dict):
        raise BrokenCardError("the metadata must be a mapping of names to values")
    return plain


def texts(value: Any) -> list[str]:
    """A field of a card, which may be one text or a list of texts, as a list; other values are skipped."""
    values = value if isinstance(value, list) else [value]
    return [str(item) for item in values if isinstance(item, (str, int, float)) and not _is_empty(item)]


def _is_empty(item: str | float) -> bool:
    return item == "" or isinstance(item, bool) or (isinstance(item, float) and math.isnan(item))


def _check_shape(block: str) -> None:
    depth = aliases = 0
    for event in yaml.parse(block, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.AliasEvent):
            aliases += 1
        if depth > MAX_DEPTH or aliases > MAX_ALIASES:
            raise BrokenCardError("the metadata is nested too deeply or has too many aliases")
