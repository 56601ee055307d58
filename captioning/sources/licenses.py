"""Licences as data sets state them for each image: in a file `licenses.json`, in columns, or by a name and a link."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from captioning.sources.caption_documents import whole_text
from workspace.errors import UsageError, in_one_line
from workspace.json_text import load_json
from workspace.printable import printable

LICENSES_FILE = "licenses.json"
LICENSE_COLUMNS = ("license", "licence", "license_url", "licence_url", "redistributable")
"""Names of columns, and keys of JSON objects beside an image, in upper or lower case."""

_CREATIVE_COMMONS = re.compile(r"https?://creativecommons\.org/licenses/(by[a-z-]*)/([0-9.]+)/?")
_PUBLIC_DOMAIN = re.compile(r"https?://creativecommons\.org/publicdomain/(zero|mark)/([0-9.]+)/?")
#: Identifiers of licences that allow verbatim copies to be redistributed.
_ALLOWING = re.compile(r"(cc0|pdm|cc-by(-nc)?(-sa|-nd)?)-[0-9.]+", re.IGNORECASE)


@dataclass(frozen=True)
class Licenses:
    """The entries of `licenses.json`, by id; "*" is for all other images."""

    entries: Mapping[str, Mapping[str, Any]]

    def of(self, real_id: str, row: Mapping[str, Any] | None = None) -> tuple[str | None, bool | None]:
        """The licence of an image and whether it may be redistributed; None: not stated.

        The entry of its id, or of the archive or table that it is in, comes first; then what its `row` states; then the
        entry "*".
        """
        container = real_id.partition("#")[0]
        entry = self.entries.get(real_id) or self.entries.get(container)
        if entry is None:
            stated = license_in_row(row or {})
            if stated != (None, None):
                return stated
            entry = self.entries.get("*", {})
        license = entry.get("license")
        return printable(license) if license else license, entry.get("redistributable")

    def unused(self, ids: Collection[str]) -> str | None:
        """One line that names entries of no image; None: each has its image, archive or table, or there is none."""
        if not self.entries:
            return None
        others = self.entries.keys() - {"*", *ids, *(real_id.partition("#")[0] for real_id in ids)}
        if not others:
            return None
        return f"{LICENSES_FILE} names what is no image of this source: {len(others)}, such as {min(others)!r}"


def license_in_row(row: Mapping[str, Any]) -> tuple[str | None, bool | None]:
    """The licence that a row of a table, or a JSON object beside an image, states; None: not certain."""
    found = {str(name).lower(): value for name, value in row.items() if str(name).lower() in LICENSE_COLUMNS}
    name, link = (
        next((found[key].strip() for key in keys if isinstance(found.get(key), str) and found[key].strip()), None)
        for keys in (("license", "licence"), ("license_url", "licence_url"))
    )
    license, redistributable = parse_license(name or link, link or name)
    said = found.get("redistributable")
    if isinstance(said, bool):
        redistributable = said
    elif isinstance(said, str) and said.strip().lower() in ("true", "false"):
        redistributable = said.strip().lower() == "true"
    elif license is not None and _ALLOWING.fullmatch(license):
        redistributable = True
    return license, redistributable


def read_licenses(root: Path) -> Licenses:
    """The entries of `licenses.json` in a root; none without that file. Raises `UsageError` if it is invalid."""
    path = root / LICENSES_FILE
    try:
        entries = load_json(whole_text(path, root))
    except FileNotFoundError:
        return Licenses({})
    except (OSError, ValueError, RecursionError) as error:
        cause = error.strerror if isinstance(error, OSError) else f"as JSON ({in_one_line(error, named=False)})"
        raise UsageError(f"{path} cannot be read: {cause}; correct it, or remove it") from error
    if not isinstance(entries, dict) or not all(_is_valid(entry) for entry in entries.values()):
        raise UsageError(
            f'{path} must be of the form {{"a.jpg": {{"license": "cc0-1.0", "redistributable": true}}}}: license is a '
            'text or null, redistributable is true, false or null, and "*" stands for all other images'
        )
    return Licenses(entries)


def parse_license(name: object, link: object) -> tuple[str | None, bool | None]:
    """A licence as (identifier, whether images may be redistributed); None: not certain.

    Every Creative Commons licence allows verbatim copies to be redistributed, some only for non-commercial purposes,
    and so do CC0 and the Public Domain Mark. Of any other licence this is not certain, whatever its name ("No known
    copyright restrictions").
    """
    match = _CREATIVE_COMMONS.fullmatch(str(link))
    if match is not None:
        return f"cc-{match[1]}-{match[2]}", True
    match = _PUBLIC_DOMAIN.fullmatch(str(link))
    if match is not None:
        return f"{'cc0' if match[1] == 'zero' else 'pdm'}-{match[2]}", True
    return printable(str(name)) if name else None, None


def _is_valid(entry: object) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("license"), str | None)
        and entry.get("license") != ""
        and isinstance(entry.get("redistributable"), bool | None)
    )
