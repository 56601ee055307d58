"""Licences as data sets state them for each image: a name and a link, made into an identifier."""

import re

_CREATIVE_COMMONS = re.compile(r"https?://creativecommons\.org/licenses/(by[a-z-]*)/([0-9.]+)/?")
_PUBLIC_DOMAIN = re.compile(r"https?://creativecommons\.org/publicdomain/(zero|mark)/([0-9.]+)/?")


def stated_license(name: object, link: object) -> tuple[str | None, bool | None]:
    """A licence as (identifier, may be passed on); None: not known for sure.

    Every Creative Commons licence lets verbatim copies be passed on, some of them for no commercial purpose only, and
    so do CC0 and the Public Domain Mark. Of other licences that is not known for sure, whatever they are called ("No
    known copyright restrictions").
    """
    match = _CREATIVE_COMMONS.fullmatch(str(link))
    if match is not None:
        return f"cc-{match[1]}-{match[2]}", True
    match = _PUBLIC_DOMAIN.fullmatch(str(link))
    if match is not None:
        return f"{'cc0' if match[1] == 'zero' else 'pdm'}-{match[2]}", True
    return str(name) if name else None, None
