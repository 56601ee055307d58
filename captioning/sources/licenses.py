"""Licences as data sets state them for each image: from a name and a link to an identifier."""

import re

_CREATIVE_COMMONS = re.compile(r"https?://creativecommons\.org/licenses/(by[a-z-]*)/([0-9.]+)/?")
_PUBLIC_DOMAIN = re.compile(r"https?://creativecommons\.org/publicdomain/(zero|mark)/([0-9.]+)/?")


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
    return str(name) if name else None, None
