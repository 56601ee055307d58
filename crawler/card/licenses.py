"""The licence of a model, from its card or from the Hub's tag: its SPDX id and its family.

The table has every identifier that the Hub offers to authors (https://huggingface.co/docs/hub/repositories-licenses),
every one in the histogram of the Community Forensics paper, and the names that authors of image models give to other
licences. The rest is kept verbatim, in the family `unknown`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from crawler.catalog import LicenseFamily, LicenseSource
from crawler.text import stated_text

#: The Hub's identifiers by family. The value is the SPDX id; None: SPDX has no such licence.
_OPEN: dict[str, str | None] = {
    "apache-2.0": "Apache-2.0",
    "mit": "MIT",
    "afl-3.0": "AFL-3.0",
    "agpl-3.0": "AGPL-3.0-only",
    "artistic-2.0": "Artistic-2.0",
    "bsd": None,
    "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "bsd-3-clause-clear": "BSD-3-Clause-Clear",
    "bsl-1.0": "BSL-1.0",
    "c-uda": "C-UDA-1.0",
    "cc": None,
    "cc0-1.0": "CC0-1.0",
    "cc-by-2.0": "CC-BY-2.0",
    "cc-by-2.5": "CC-BY-2.5",
    "cc-by-3.0": "CC-BY-3.0",
    "cc-by-4.0": "CC-BY-4.0",
    "cc-by-nd-4.0": "CC-BY-ND-4.0",
    "cc-by-sa-3.0": "CC-BY-SA-3.0",
    "cc-by-sa-4.0": "CC-BY-SA-4.0",
    "cdla-permissive-1.0": "CDLA-Permissive-1.0",
    "cdla-permissive-2.0": "CDLA-Permissive-2.0",
    "cdla-sharing-1.0": "CDLA-Sharing-1.0",
    "ecl-2.0": "ECL-2.0",
    "epl-1.0": "EPL-1.0",
    "epl-2.0": "EPL-2.0",
    "etalab-2.0": "etalab-2.0",
    "eupl-1.1": "EUPL-1.1",
    "eupl-1.2": "EUPL-1.2",
    "gfdl": None,
    "gpl": None,
    "gpl-2.0": "GPL-2.0-only",
    "gpl-3.0": "GPL-3.0-only",
    "isc": "ISC",
    "lgpl": None,
    "lgpl-2.1": "LGPL-2.1-only",
    "lgpl-3.0": "LGPL-3.0-only",
    "lgpl-lr": "LGPLLR",
    "lppl-1.3c": "LPPL-1.3c",
    "mpl-2.0": "MPL-2.0",
    "ms-pl": "MS-PL",
    "ncsa": "NCSA",
    "odbl": "ODbL-1.0",
    "odc-by": "ODC-By-1.0",
    "ofl-1.1": "OFL-1.1",
    "openmdw": None,
    "openmdw-1.0": "OpenMDW-1.0",
    "openmdw-1.1": None,
    "osl-3.0": "OSL-3.0",
    "pddl": "PDDL-1.0",
    "postgresql": "PostgreSQL",
    "unlicense": "Unlicense",
    "wtfpl": "WTFPL",
    "zlib": "Zlib",
}
# Responsible AI licences: commercial use is allowed, and restrictions of use apply to every copy.
_OPENRAIL = (
    "openrail",
    "openrail++",
    "creativeml-openrail-m",
    "creativeml-openrail++-m",
    "bigscience-openrail-m",
    "bigscience-bloom-rail-1.0",
    "bigcode-openrail-m",
    "fair-ai-public-license-1.0-sd",
    "faipl-1.0",
    "faipl-1.0-sd",
)
_NON_COMMERCIAL: dict[str, str | None] = {
    "cc-by-nc-2.0": "CC-BY-NC-2.0",
    "cc-by-nc-3.0": "CC-BY-NC-3.0",
    "cc-by-nc-4.0": "CC-BY-NC-4.0",
    "cc-by-nc-nd-3.0": "CC-BY-NC-ND-3.0",
    "cc-by-nc-nd-4.0": "CC-BY-NC-ND-4.0",
    "cc-by-nc-sa-2.0": "CC-BY-NC-SA-2.0",
    "cc-by-nc-sa-3.0": "CC-BY-NC-SA-3.0",
    "cc-by-nc-sa-4.0": "CC-BY-NC-SA-4.0",
    "fair-noncommercial-research-license": None,
    "flux-1-dev-nc": None,
    "flux-1-dev-non-commercial-license": None,
    "flux-dev-license": None,
    "flux-dev-non-commercial-license": None,
    "flux-non-commercial-license": None,
}
_RESEARCH_ONLY = (
    "apple-amlr",
    "deepfloyd-if-license",
    "h-research",
    "intel-research",
    "sai-nc-community",
    "stable-cascade-nc-community",
    "stabilityai-nc-research-community",
)
# Terms of one company or author; of commercial generators, as the Community Forensics paper's metadata name them.
_PROPRIETARY = (
    "adobe-genai-tos",
    "apple-ascl",
    "fluently",
    "gemma",
    "google-tos",
    "grok2-community",
    "ideogram-tos",
    "llama2",
    "llama3",
    "llama3.1",
    "llama3.2",
    "llama3.3",
    "llama4",
    "midjourney-tos",
    "openai-terms-of-use",
    "playground-v2-community",
    "playground-v2dot5-community",
    "stabilityai-ai-community",
    "tencent-hunyuan-community",
    "tii-falcon-llm",
)

#: Every known identifier with its family.
FAMILIES: dict[str, LicenseFamily] = {
    **dict.fromkeys(_OPEN, "open"),
    **dict.fromkeys(_OPENRAIL, "openrail"),
    **dict.fromkeys(_NON_COMMERCIAL, "non-commercial"),
    **dict.fromkeys(_RESEARCH_ONLY, "research-only"),
    **dict.fromkeys(_PROPRIETARY, "proprietary"),
    "unknown": "unknown",
    "other": "unknown",
}
#: Families from the least to the most strict. A licence that nobody knows permits nothing for certain, but one that is
#: known to forbid commercial use is stricter: whoever accepts unknown licences has not accepted that.
STRICTNESS: tuple[LicenseFamily, ...] = (
    "open",
    "openrail",
    "proprietary",
    "unknown",
    "non-commercial",
    "research-only",
)
#: The SPDX id of each of these identifiers, as far as there is one.
SPDX = {identifier: spdx for identifier, spdx in (_OPEN | _NON_COMMERCIAL).items() if spdx is not None}


_SEPARATORS = re.compile(r"[^a-z0-9+]+")
_SUFFIX = re.compile(r"(?:-licen[sc]e)?(?:-agreement)?$")


def _key(name: str) -> str:
    """A name in the spelling that all its spellings share: "FLUX.1 [dev] Non-Commercial License" and its identifier."""
    return _SUFFIX.sub("", _SEPARATORS.sub("-", name.lower()).strip("-"), count=1)


_FAMILY_OF_KEY = {_key(identifier): family for identifier, family in FAMILIES.items()}


def _family(name: str) -> LicenseFamily:
    return _FAMILY_OF_KEY.get(_key(name), "unknown")


@dataclass(frozen=True)
class License:
    """A licence; fields as in `crawler.catalog.CatalogEntry`."""

    license: str | None
    license_source: LicenseSource
    license_family: LicenseFamily
    license_name: str | None = None
    license_link: str | None = None


def license_of(metadata: Mapping[str, Any], tags: Sequence[str]) -> License:
    """The licence in a card's front matter, else in the tag `license:...`, else none."""
    stated = metadata.get("license")
    identifiers = [stated_text(value) for value in (stated if isinstance(stated, list) else [stated])]
    given = [text for text in identifiers if text is not None]
    if given:
        name, link = stated_text(metadata.get("license_name")), stated_text(metadata.get("license_link"))
        return _license(given, "card", name, link)
    tagged = [tag.removeprefix("license:") for tag in tags if tag.startswith("license:")]
    if tagged:
        return _license(tagged, "tag", None, None)
    return License(None, "none", "unknown")


def strictest(licenses: Iterable[License]) -> License | None:
    """The licence of the strictest family, the first of equals; None: there are none."""
    return max(licenses, key=lambda license_: STRICTNESS.index(license_.license_family), default=None)


def _license(given: list[str], source: Literal["card", "tag"], name: str | None, link: str | None) -> License:
    identifiers = [text.lower() for text in given]
    families = {_family(identifier) for identifier in identifiers}
    family: LicenseFamily = families.pop() if len(families) == 1 else "unknown"
    if identifiers == ["other"] and name is not None:
        family = _family(name)
    written = [
        SPDX.get(identifier, identifier if identifier in FAMILIES else text)
        for identifier, text in zip(identifiers, given, strict=True)
    ]
    return License(" AND ".join(written), source, family, name, link)
