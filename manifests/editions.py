"""Editions: which generators and real images a dataset contains, depending on its readers.

`full` contains everything, for the people who sampled it. `public` may be passed on: it contains the generators whose
licences are allowed, and of the real images those that may be passed on. The other real images are in a list with
their sha256, so that readers who have the real data set can complete the edition (`restoring`).
"""

from collections.abc import Iterable

from crawler.named_licenses import NamedLicenses
from manifests.options import DEFAULT_LICENSES


def parse_licenses(texts: Iterable[str]) -> NamedLicenses:
    """The licences that generators of a public edition may have; none given: `DEFAULT_LICENSES`.

    Raises `UsageError` for an unknown family.
    """
    licenses = NamedLicenses.parse(texts, "--license-allow")
    return licenses if licenses.texts else NamedLicenses(DEFAULT_LICENSES)
